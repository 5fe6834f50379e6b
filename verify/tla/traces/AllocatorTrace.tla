--------------------------- MODULE AllocatorTrace ---------------------------
(* Whether what the C code did is a behaviour of Allocator. Traces are runs of the explorer's scenarios `alloc.` whose *)
(* blocks are segments, as the calls of src/runtime/allocator.c (allocate, free, record) and of timeline.c (submit,    *)
(* signal) begin and return, with what they returned, and take the allocator's lock, let it go and fall asleep. What a   *)
(* call does lies between its two events, and where it is done under the lock, between those: TLC looks for actions of *)
(* the spec that fit. Each allocation is a user of its own, named *)
(* by its stream. A trace is accepted when some behaviour has all of its events.                                       *)
(* Beyond the spec: a call with a limit may give up once it has found nothing.                                         *)
EXTENDS Allocator, Sequences, AllocatorTraces

VARIABLES trace, next,
    call,     \* of each user: what it has been called for and not yet returned from
    signals,  \* streams whose next point is about to be reached
    inside    \* who has the allocator's lock, in the C code
all == <<vars, trace, next, call, signals, inside>>

StreamOf == [u \in {"1a", "1b", "1c"} |-> "1"] @@ [u \in {"2a", "2b", "2c"} |-> "2"] @@ [u \in {"3a", "3b", "3c"} |-> "3"]
TraceHome(u) == StreamOf[u]
Events == Traces[trace].events

TraceInit ==
    /\ trace \in 1..Len(Traces) /\ next = 1 /\ InitWith(IF Traces[trace].blocks = 1 THEN {"b1"} ELSE Blocks)
    /\ call = [u \in Users |-> "none"] /\ signals = {} /\ inside = Nobody

\* What a call may do before it returns.
Locked(u) == inside = u /\ (Allocate(u) \/ Announce(u) \/ AddSegment(u) \/ OwnRelease(u) \/ Given(u)
                           \/ BeginWait(u) \/ Look(u))
GiveUp(u) == \* at the limit
    /\ inside = u /\ Unlocked /\ Go(u, "refused") /\ transit' = transit \ {u} /\ asleep' = {}
    /\ toArm' = [toArm EXCEPT ![u] = {}]
    /\ UNCHANGED <<blockVars, lineVars, armed, lock, news, seekers, leaving, carried, held, round>>
Inside(u) ==
    CASE call[u] \in {"allocate", "limited"} ->
            \/ (Hit(u) \/ TakeSegment(u) \/ GiveBack(u) \/ Arm(u) \/ Locked(u)) /\ UNCHANGED call
            \/ Refused(u) /\ call' = [call EXCEPT ![u] = "refused"]
            \/ call[u] = "limited" /\ pc[u] \in {"fail", "arm", "sleep"} /\ GiveUp(u) /\ UNCHANGED call
      [] call[u] = "free" -> Free(u) /\ call' = [call EXCEPT ![u] = "given"]
      [] call[u] = "given" -> inside = u /\ List(u) /\ UNCHANGED call
      [] OTHER -> FALSE
Silent ==
    \/ \E u \in Users : Inside(u) /\ UNCHANGED signals
    \/ \E s \in signals : Signal(s) /\ signals' = signals \ {s} /\ UNCHANGED call

Still == UNCHANGED vars
Begin(u, what) == call[u] = "none" /\ call' = [call EXCEPT ![u] = what] /\ UNCHANGED signals
Returns(u, from) == call[u] \in from /\ call' = [call EXCEPT ![u] = "none"] /\ UNCHANGED signals
RecordNow(u, s) ==
    /\ pc[u] \in {"have", "submitted", "recorded"} /\ Go(u, "recorded")
    /\ records' = IF submitted[s] > completed[s] THEN [records EXCEPT ![held[u]][s] = submitted[s]] ELSE records
    /\ UNCHANGED <<state, owner, point, touched, lineVars, waitVars, userVars>>

Event(e) ==
    LET u == e[1] op == e[2] IN
    CASE op \in {"allocate", "limited"} -> Begin(u, op) /\ Still
      [] op = "got" -> pc[u] = "have" /\ Returns(u, {"allocate", "limited"}) /\ Still
      [] op = "none" -> Returns(u, {"refused"}) /\ Still
      [] op = "lock" -> inside = Nobody /\ Still /\ UNCHANGED <<call, signals>>
      [] op = "unlock" -> inside = u /\ lock = Nobody /\ Still /\ UNCHANGED <<call, signals>>
      [] op = "sleep" -> inside = u /\ u \in asleep /\ Still /\ UNCHANGED <<call, signals>>
      [] op = "free" -> Begin(u, "free") /\ Still
      [] op = "freed" -> pc[u] = "out" /\ Returns(u, {"given"}) /\ Still
      [] op = "record" -> RecordNow(u, e[3]) /\ UNCHANGED <<call, signals>>
      [] op = "submit" -> /\ submitted' = [submitted EXCEPT ![u] = @ + 1] /\ UNCHANGED <<call, signals>>
                          /\ UNCHANGED <<blockVars, completed, waitVars, userVars, pc>>
      [] op = "signal" -> u \notin signals /\ signals' = signals \cup {u} /\ Still /\ UNCHANGED call
      [] op = "signalled" -> u \notin signals /\ Still /\ UNCHANGED <<call, signals>>

Follow ==
    /\ next <= Len(Events) /\ Event(Events[next]) /\ next' = next + 1
    /\ LET e == Events[next] IN
       inside' = IF e[2] = "lock" THEN e[1] ELSE IF e[2] \in {"unlock", "sleep"} THEN Nobody ELSE inside
    /\ (next' > Len(Events) => PrintT(<<"accepted", trace>>))
TraceNext == /\ next <= Len(Events) /\ UNCHANGED trace
             /\ (Follow \/ (Silent /\ UNCHANGED <<next, inside>>))
TraceSpec == TraceInit /\ [][TraceNext]_all
=============================================================================
