---------------------------- MODULE StreamTrace ----------------------------
(* Whether what the C code did is a behaviour of Stream. Traces are runs of the explorer's scenarios `stream.`, as      *)
(* verify/tla/traces/stream.py tells them: one operation of src/runtime/stream.c each (the lock, `leaving`, the         *)
(* stream's points), and the slot's bit in the pool. A handle is its owner's whoever uses it. Looks that change         *)
(* nothing have no action in the spec. A trace is accepted when some behaviour has all of its events.                   *)
EXTENDS Stream, StreamTraces, Sequences, TLC

VARIABLES trace, next,
    inside \* who has the stream's lock, in the C code
all == <<vars, trace, next, inside>>

Events == Traces[trace].events
TraceInit == trace \in 1..Len(Traces) /\ next = 1 /\ inside = Nobody /\ Init
Still == UNCHANGED vars
IsRunner(t) == t = "runner"
Claims(t) == IF IsRunner(t) THEN runner = "claim" ELSE pc[t] = "claim"
Section(t, call) == \* what is done when the lock is let go
    CASE call = "begin refused" -> Begin(t) /\ pc'[t] = "give"
      [] call \in {"submit refused", "end refused"} ->
            IF pc[t] = "use" THEN Refused(t) ELSE ~Good(t) /\ Still
      [] call = "close" /\ pc[t] = "out" /\ ~closed -> Close /\ pc'[t] = "out"
      [] OTHER -> ~Claims(t) /\ Still

Event(e) ==
    LET t == e[1] op == e[2] value == e[3] IN
    \/ op = "lock" /\ inside = Nobody /\ inside' = t /\ Still
    \/ op = "unlock" /\ inside = t /\ inside' = Nobody /\ Section(t, value)
    \/ /\ UNCHANGED inside
       /\ CASE op = "lease" -> Lease(t)
            [] op = "begin" -> inside = t /\ Begin(t) /\ generation' = value
            [] op = "submit" -> inside = t /\ Submit(t) /\ submitted' = value
            [] op = "told" -> inside = t /\ (IF t = Closer THEN Close ELSE End(t)) /\ leaving'
            [] op = "claimed" -> inside = t /\ Drained /\ (IF IsRunner(t) THEN RunnerClaim ELSE Claim(t)) /\ ~leaving'
            [] op = "leaving" -> \* a look at it
                 /\ leaving = (value = 1)
                 /\ IF IsRunner(t) /\ runner = "look" THEN Look
                    ELSE IF IsRunner(t) /\ Claims(t) /\ inside = t /\ ~leaving THEN RunnerClaim ELSE Still
            [] op = "look" -> \* at what is done
                 /\ completed = value
                 /\ IF inside = t /\ Claims(t) /\ ~Drained THEN IF IsRunner(t) THEN RunnerClaim ELSE Claim(t) ELSE Still
            [] op = "complete" -> Complete /\ completed' = value
            [] op = "give" -> IF IsRunner(t) THEN RunnerGive ELSE Give(t)
            [] OTHER -> FALSE

Follow ==
    /\ next <= Len(Events) /\ Event(Events[next]) /\ next' = next + 1 /\ UNCHANGED trace
    /\ (next' > Len(Events) => PrintT(<<"accepted", trace>>))
TraceSpec == TraceInit /\ [][Follow]_all
=============================================================================
