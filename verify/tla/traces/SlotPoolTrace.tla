--------------------------- MODULE SlotPoolTrace ---------------------------
(* Whether what the C code did is a behaviour of SlotPool. Traces are runs of the explorer's scenarios `pool.`, as     *)
(* verify/tla/traces/slot_pool.py tells them: one operation of src/runtime/slot_pool.c each, on its words `idle`,      *)
(* `waiting` and `closed`, its lock and its condition, with the values that it read and wrote, and what each call      *)
(* answered. The line itself is not seen: that it is served in order follows from who gets which slot. Looks that      *)
(* change nothing have no action in the spec; the end of serve() without a broadcast has no event. Slots that a        *)
(* scenario has leased at the beginning are users' of their own. A trace is accepted when some behaviour has all of    *)
(* its events.                                                                                                         *)
EXTENDS SlotPool, SlotPoolTraces, TLC

VARIABLES trace, next,
    inside, \* who has the lock, in the C code
    late    \* whose wait has ended by time
all == <<vars, trace, next, inside, late>>

Events == Traces[trace].events
TraceInit ==
    /\ trace \in 1..Len(Traces) /\ next = 1 /\ inside = Nobody /\ late = {} /\ InitWith(Traces[trace].leased)

Still == UNCHANGED vars
IsWord(w) == free = w[1] /\ remembered = w[2]
BecomesWord(w) == free' = w[1] /\ remembered' = w[2]
Quiet == pc[inside] = "serve" /\ Served /\ ~served.any /\ closing = 0 \* of who is inside

Closed1(u) ==
    CASE pc[u] = "out" /\ ~closed -> Begin(u)
      [] pc[u] = "check" -> Check(u) /\ UNCHANGED stopped
      [] pc[u] = "any_close" -> AnyClose(u) /\ UNCHANGED stopped
      [] OTHER -> pc[u] \in {"out", "look"} /\ Still
Idle1(u) ==
    CASE pc[u] = "close_look" -> CloseLook(u) /\ UNCHANGED stopped
      [] pc[u] = "close_sleep" /\ u \in late -> CloseExpire(u) /\ UNCHANGED stopped
      [] u \in Closers -> pc[u] \in {"closed", "out"} /\ Still
      [] pc[u] = "take" /\ Choices(Allowed(u)) = {} -> TryTake(u) /\ UNCHANGED stopped
      [] pc[u] = "serve" /\ ~Served /\ Offered = {} -> ServeSkip(u) /\ UNCHANGED stopped
      [] OTHER -> (pc[u] \in {"take", "out"} \/ (pc[u] = "serve" /\ ~Served)) /\ Still
Word(u) ==
    /\ (TryTake(u) /\ pc'[u] = "check") \/ ServeTake(u) \/ PutBack(u) \/ Forget(u)
    /\ UNCHANGED stopped
\* A wait that ended by time, or by a look at the stop; both leave the line.
GiveUp(u) ==
    \/ u \in late /\ granted[u] = None /\ (Expire(u) /\ UNCHANGED stopped)
    \/ \* Look and Expire in one: it has no time to wait
       /\ pc[u] = "look" /\ u \in Runs /\ granted[u] = None /\ ~closed /\ queue' = Without(queue, u)
       /\ waiting' = waiting - 1 /\ lock' = Nobody /\ Go(u, "out")
       /\ UNCHANGED <<free, remembered, closed, granted, closing, served, taken, asleep, slot, stopped>>
CountLine(u) ==
    \/ (Announce(u) \/ ServeGrant(u)) /\ UNCHANGED stopped
    \/ closed /\ granted[u] = None /\ Look(u) /\ pc'[u] = "out" /\ UNCHANGED stopped
    \/ GiveUp(u)
LookOn(u) == \* time for a look, not the end of the wait
    /\ pc[u] = "sleep" /\ lock = Nobody /\ lock' = u /\ asleep' = asleep \ {u} /\ Go(u, "look")
    /\ UNCHANGED <<free, remembered, waiting, closed, queue, granted, closing, served, taken, slot>>
Lock(u) ==
    /\ UNCHANGED stopped
    /\ \/ u \in Users /\ (Enter(u) \/ Wake(u) \/ Relock(u))
       \/ u \in Closers /\ (CloseLock(u) \/ CloseWake(u))
       \/ u \in late /\ u \in Users /\ IF granted[u] # None THEN Expire(u) ELSE UNCHANGED <<vars>> \/ LookOn(u)
       \/ u \in late /\ u \in Closers /\ pc[u] = "close_sleep" /\ UNCHANGED <<vars>>
Unlock(u) ==
    /\ UNCHANGED stopped
    /\ \/ u \in Users /\ pc[u] = "look" /\ granted[u] # None /\ Look(u)
       \/ u \in Users /\ pc[u] = "out" /\ UNCHANGED <<vars>>
       \/ u \in Closers /\ pc[u] \in {"closed", "out"} /\ UNCHANGED <<vars>>
Rest(u) ==
    /\ UNCHANGED stopped
    /\ \/ u \in Users /\ Look(u) /\ pc'[u] = "sleep"
       \/ u \in Closers /\ pc[u] = "close_sleep" /\ UNCHANGED <<vars>>

Event(e) ==
    LET u == e[1] op == e[2] a == e[3] b == e[4] IN
    \/ /\ op = "lock" /\ inside = Nobody /\ inside' = u /\ Lock(u)
       /\ late' = IF pc'[u] \in {"sleep", "close_sleep"} THEN late ELSE late \ {u}
    \/ op = "unlock" /\ inside = u /\ ~Quiet /\ inside' = Nobody /\ late' = late \ {u} /\ Unlock(u)
    \/ op = "sleep" /\ inside = u /\ inside' = Nobody /\ late' = late \ {u} /\ Rest(u)
    \/ op = "late" /\ late' = late \cup {u} /\ UNCHANGED inside /\ Still
    \/ /\ UNCHANGED <<inside, late>>
       /\ CASE op = "closed" -> closed = a /\ Closed1(u)
            [] op = "waiting" -> waiting = a /\ (Peek(u) \/ AnyWaiting(u)) /\ UNCHANGED stopped
            [] op = "idle" -> IsWord(a) /\ Idle1(u)
            [] op = "word" -> IsWord(a) /\ BecomesWord(b) /\ Word(u)
            [] op = "count" -> waiting = a /\ CountLine(u) /\ waiting' = b /\ inside = u
            [] op = "broadcast" ->
                    /\ inside = u
                    /\ IF u \in Closers THEN Still
                       ELSE (served.any \/ closing > 0) /\ ServeEnd(u) /\ UNCHANGED stopped
            [] op = "refuse" -> Close(u) /\ UNCHANGED stopped
            [] op = "stir" -> IF u \in asleep THEN WakeAtWill(u) /\ UNCHANGED stopped ELSE Still
            [] op = "return" -> slot[u] = a /\ EndRun(u) /\ UNCHANGED stopped
            [] op = "got" -> (IF a = None THEN pc[u] = "out" ELSE pc[u] = "hold" /\ slot[u] = a) /\ Still
            [] op = "out" -> pc[u] = "out" /\ Still
            [] op = "closed for good" -> pc[u] = "closed" /\ Still
            [] op = "not closed" -> pc[u] = "out" /\ Still
            [] OTHER -> FALSE

Silent == inside # Nobody /\ Quiet /\ ServeEnd(inside) /\ UNCHANGED <<stopped, trace, next, inside, late>>
Follow ==
    /\ ~(inside # Nobody /\ Quiet /\ Events[next][1] = inside) /\ Event(Events[next]) /\ next' = next + 1 /\ UNCHANGED trace
    /\ (next' > Len(Events) => PrintT(<<"accepted", trace>>))
TraceSpec == TraceInit /\ [][next <= Len(Events) /\ (Follow \/ Silent)]_all
=============================================================================
