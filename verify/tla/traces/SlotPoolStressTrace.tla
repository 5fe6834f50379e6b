------------------------ MODULE SlotPoolStressTrace ------------------------
(* Whether what threads of the system saw of src/runtime/slot_pool.c can be a behaviour of SlotPool. A trace is a round  *)
(* of verify/tla/traces/stress_slot_pool.c: of each thread its calls, with what each was given and answered, and which   *)
(* calls of other threads had ended before it began (of each thread how many; of calls that overlap nothing is known).   *)
(* TLC looks for an order: a call's actions come behind those of all calls that had ended before it began, and it has    *)
(* ended once its answer is there. A trace is accepted when some behaviour has all calls.                                *)
EXTENDS SlotPool, SlotPoolStressTraces

VARIABLES trace,
    ended \* of each thread: how many of its calls
all == <<vars, trace, ended>>

Calls == Traces[trace].calls
TraceThreads == DOMAIN Calls
TraceInit ==
    /\ trace \in 1..Len(Traces) /\ ended = [t \in DOMAIN Traces[trace].calls |-> 0] /\ InitWith(<<>>)
Still == UNCHANGED vars

\* What a call may do, by what it was given; who is out then has its answer.
Back(u) ==
    PutBack(u) \/ AnyWaiting(u) \/ AnyClose(u) \/ Relock(u) \/ ServeTake(u) \/ ServeSkip(u) \/ ServeGrant(u) \/ ServeEnd(u)
Leases(c) ==
    LET u == c.who out == pc'[u] = "out" IN
    \/ pc[u] = "out" /\ closed /\ c.answer = "closed" /\ Still
    \/ Begin(u)
    \/ /\ UNCHANGED stopped
       /\ \/ (Peek(u) \/ TryTake(u)) /\ (out => c.limit = "none" /\ c.answer = "exhausted")
          \/ Enter(u) \/ Announce(u) \/ Wake(u) \/ Check(u)
          \/ (Look(u) \/ Back(u)) /\ (out => c.answer = "closed")
          \/ c.limit # "forever" /\ Expire(u) /\ (out => c.answer = "exhausted")
          \/ WakeAtWill(u)
Returns(c) == UNCHANGED stopped /\ ((slot[c.who] = c.slot /\ EndRun(c.who)) \/ Back(c.who))
Forgets(c) == IF c.slot \in remembered THEN Forget(c.who) /\ c.slot \in free' /\ UNCHANGED stopped ELSE Still
Closes(c) ==
    /\ UNCHANGED stopped
    /\ CloseLock(c.who) \/ CloseLook(c.who) \/ CloseWake(c.who) \/ (c.limit # "forever" /\ CloseExpire(c.who)) \/ WakeAtWill(c.who)
Act(c) ==
    CASE c.op = "lease" -> Leases(c)
      [] c.op = "return" -> Returns(c)
      [] c.op = "forget" -> Forgets(c)
      [] c.op = "refuse" -> Close(c.who) /\ UNCHANGED stopped
      [] c.op = "close" -> Closes(c)
Answered(c) == \* whether the call is over; what it says then must be so
    CASE c.op = "lease" -> pc'[c.who] \in {"hold", "out"}
      [] c.op = "return" -> pc'[c.who] = "out"
      [] c.op = "close" -> pc'[c.who] \in {"closed", "out"}
      [] OTHER -> TRUE
Says(c) ==
    CASE c.op = "lease" -> (pc'[c.who] = "hold") = (c.answer = "slot") /\ slot'[c.who] = c.slot
      [] c.op = "close" -> pc'[c.who] = c.answer
      [] OTHER -> TRUE

Step(t) ==
    LET c == Calls[t][ended[t] + 1] IN
    /\ ended[t] < Len(Calls[t]) /\ \A o \in TraceThreads : ended[o] >= c.after[o]
    /\ Act(c)
    /\ IF Answered(c) THEN Says(c) /\ ended' = [ended EXCEPT ![t] = @ + 1] ELSE UNCHANGED ended
    /\ UNCHANGED trace
    /\ (\A o \in TraceThreads : ended'[o] = Len(Calls[o])) => PrintT(<<"accepted", trace>>)
TraceSpec == TraceInit /\ [][\E t \in TraceThreads : Step(t)]_all
=============================================================================
