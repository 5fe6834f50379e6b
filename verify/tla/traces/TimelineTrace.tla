---------------------------- MODULE TimelineTrace ----------------------------
(* Whether what the C code did is a behaviour of Timeline. Traces are runs of the explorer's scenarios `timeline.`,  *)
(* turned into events by verify/tla/traces/run: one operation of src/runtime/timeline.c each, with the value that it *)
(* read or wrote, in the order in which they happened; each call is a waiter or a watcher of its own. What was told  *)
(* is noted by the function of the watch. A trace is accepted when some behaviour has all of its events.             *)
EXTENDS Timeline, Sequences, TimelineTraces

VARIABLES trace, next
all == <<vars, trace, next>>

Events(n) == Traces[n].events
TraceInit ==
    /\ trace \in 1..Len(Traces) /\ next = 1
    /\ InitWith([t \in Waiters \cup Watchers |-> IF t \in DOMAIN Traces[trace].wanted THEN Traces[trace].wanted[t] ELSE 1],
                [t \in Watchers |-> IF t \in DOMAIN Traces[trace].watch THEN Traces[trace].watch[t] ELSE "a1"])

Event(e) ==
    LET t == e[1] op == e[2] value == e[3] IN
    CASE op = "store" -> Store /\ completed' = value
      [] op = "look" -> LookWaiting /\ saw' = value
      [] op = "broadcast" -> Notify /\ Cardinality(asleep) = value
      [] op = "take" -> Take /\ taken' # {} /\ waiting' = value
      [] op = "told" -> Tell /\ taken = {value}
      [] op = "lock" -> Locks(t)
      [] op = "expire" -> Expire(t)
      [] op = "stir" -> WakeAtWill(t)
      [] op = "unlock" -> IF t = S THEN LetGo \/ (Take /\ lock' = Nobody) ELSE Unlock(t)
      [] op = "first" -> FirstLook(t) /\ completed = value
      [] op = "count" -> Count(t) /\ waiting' = value
      [] op = "check" -> (CheckPoint(t) \/ Late(t)) /\ completed = value
      [] op = "sleep" -> Rest(t)
      [] op = "uncount" -> Uncount(t) /\ waiting' = value

Local == pc[S] = "judge" /\ Judge /\ UNCHANGED <<trace, next>>
Follow ==
    /\ pc[S] # "judge" /\ next <= Len(Events(trace)) /\ Event(Events(trace)[next])
    /\ next' = next + 1 /\ UNCHANGED trace
    /\ (next' > Len(Events(trace)) => PrintT(<<"accepted", trace>>))
TraceSpec == TraceInit /\ [][Local \/ Follow]_all
=============================================================================
