------------------------ MODULE TimelineStressTrace ------------------------
(* Whether what threads of the system saw of src/runtime/timeline.c can be a behaviour of Timeline. A trace is a round    *)
(* of verify/tla/traces/stress_timeline.c: of each thread its calls, with what each was given and answered, and which    *)
(* calls of other threads had ended before it began (of each thread how many; of calls that overlap nothing is known).   *)
(* Each wait is a waiter, each setting of a watch a watcher of the spec's; a signal says how often each watch has been   *)
(* told when it ends. TLC looks for an order: a call's actions come behind those of all calls that had ended before it   *)
(* began, and it has ended once its answer is there. A trace is accepted when some behaviour has all calls.              *)
EXTENDS Timeline, Sequences, TimelineStressTraces

VARIABLES trace,
    ended \* of each thread: how many of its calls
all == <<vars, trace, ended>>

Calls == Traces[trace].calls
TraceThreads == DOMAIN Calls
AllCalls(n) == UNION {{Traces[n].calls[t][i] : i \in DOMAIN Traces[n].calls[t]} : t \in DOMAIN Traces[n].calls}
CallOf(n, who) == CHOOSE c \in AllCalls(n) : c.who = who
Present(n, who) == \E c \in AllCalls(n) : c.who = who
TraceInit ==
    /\ trace \in 1..Len(Traces) /\ ended = [t \in DOMAIN Traces[trace].calls |-> 0]
    /\ InitWith([p \in Waiters \cup Watchers |-> IF Present(trace, p) THEN CallOf(trace, p).point ELSE 1],
                [p \in Watchers |-> IF Present(trace, p) THEN CallOf(trace, p).watch ELSE "a0"])

Waits(c) ==
    LET w == c.who answered == c.answer = "ok" IN
    \/ FirstLook(w) /\ (pc'[w] = "done" => answered)
    \/ /\ c.limit = "none" /\ pc[w] = "enter" /\ ~answered /\ Go(w, "done") \* it has no time to wait
       /\ UNCHANGED <<completed, waiting, lock, list, asleep, wanted, watch, saw, taken, told, due>>
    \/ c.limit # "none" /\ (Enter(w) \/ Count(w) \/ Rest(w) \/ Wake(w) \/ WakeAtWill(w))
    \/ CheckPoint(w) /\ (pc'[w] = "uncount" => answered)
    \/ c.limit # "forever" /\ (Expire(w) \/ ExpiredLock(w))
    \/ Late(w) /\ (completed >= wanted[w]) = answered
    \/ Uncount(w) \/ Unlock(w)
Watches1(c) ==
    LET v == c.who IN
    \/ Enter(v) \/ Count(v) \/ Uncount(v) \/ Unlock(v)
    \/ CheckPoint(v) /\ (completed < wanted[v]) = (c.answer = "set")
Signals == Store \/ LookWaiting \/ Judge \/ SignalLock \/ Notify \/ Take \/ LetGo \/ Tell
Act(c) ==
    CASE c.op = "wait" -> Waits(c)
      [] c.op = "watch" -> Watches1(c)
      [] c.op = "signal" -> Signals
Answered(c) == IF c.op = "signal" THEN pc'[S] = Idle ELSE pc'[c.who] = "done"
Says(c) == c.op = "signal" => completed' = c.point /\ told' = c.told

Step(t) ==
    LET c == Calls[t][ended[t] + 1] IN
    /\ ended[t] < Len(Calls[t]) /\ \A o \in TraceThreads : ended[o] >= c.after[o]
    /\ Act(c)
    /\ IF Answered(c) THEN Says(c) /\ ended' = [ended EXCEPT ![t] = @ + 1] ELSE UNCHANGED ended
    /\ UNCHANGED trace
    /\ (\A o \in TraceThreads : ended'[o] = Len(Calls[o])) => PrintT(<<"accepted", trace>>)
TraceSpec == TraceInit /\ [][\E t \in TraceThreads : Step(t)]_all
=============================================================================
