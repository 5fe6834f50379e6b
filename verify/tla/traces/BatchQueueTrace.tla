-------------------------- MODULE BatchQueueTrace --------------------------
(* Whether what the C code did is a behaviour of BatchQueue. Traces are runs of the explorer's scenarios `batch.`, as  *)
(* verify/tla/traces/batch_queue.py tells them: what each call of src/runtime/batch_queue.c did between taking the     *)
(* lock and letting it go (or sleeping) is one action of the spec, which must be done by then; whom it told, what it    *)
(* answered and what a worker got must be what the spec says. A trace is accepted when some behaviour has all of its    *)
(* events.                                                                                                              *)
EXTENDS BatchQueue, BatchQueueTraces

VARIABLES trace, next,
    inside, \* who has the lock, in the C code
    late    \* whose wait has ended by time
all == <<vars, trace, next, inside, late>>

Nobody == "nobody"
Events == Traces[trace].events
TraceInit == trace \in 1..Len(Traces) /\ next = 1 /\ inside = Nobody /\ late = {}
             /\ InitWith(Traces[trace].rows, Traces[trace].capacity, Traces[trace].delay)

Asleep == {"line", "idle", "more"}
\* Those who are woken were told. Who submits and who closes share a condition.
ToldBy(set) ==
    \A t \in (q.asleep \ q'.asleep) \ late : t \in set \/ (t \notin Workers /\ "all" \in set)
MayLook(t) == t \notin q.asleep \/ t \in late
Submits(r) == Submit(r) \/ (MayLook(r) /\ WakeInLine(r)) \/ (r \in late /\ ExpireInLine(r))
Collects(w) == Collect(w) \/ (MayLook(w) /\ (WakeIdle(w) \/ WakeForMore(w)))
Closing(call) ==
    CASE call = "drain" -> pc[Closer] = "open" /\ Close(FALSE)
      [] call = "cancel" -> pc[Closer] = "open" /\ Close(TRUE)
      [] call = "end" -> NoteHeld
      [] call = "await" -> Await
Section(t, call) == IF t \in Requests THEN Submits(t) ELSE IF t \in Workers THEN Collects(t) ELSE Closing(call)
\* Who goes on without the lock, and who sleeps.
Sleeps(t) == t \in q'.asleep /\ IF t = Closer THEN pc'[t] \in {"await", "wait"} ELSE pc'[t] \in Asleep
Still == UNCHANGED vars

Event(e) ==
    LET t == e[1] op == e[2] set == e[3] IN
    CASE op = "lock" -> inside = Nobody /\ MayLook(t) /\ inside' = t /\ UNCHANGED late /\ Still
      [] op = "unlock" -> inside = t /\ inside' = Nobody /\ late' = late \ {t} /\ Section(t, e[4]) /\ ~Sleeps(t) /\ ToldBy(set)
      [] op = "sleep" -> inside = t /\ inside' = Nobody /\ late' = late \ {t} /\ Section(t, e[4]) /\ Sleeps(t) /\ ToldBy(set)
      [] op = "late" -> late' = late \cup {t} /\ UNCHANGED inside /\ Still
      [] op = "stir" -> /\ t \in q.asleep /\ q' = [q EXCEPT !.asleep = @ \ {t}]
                        /\ UNCHANGED <<pc, work, held, ends, inside, late>>
      [] op = "ended" -> (IF t = Closer THEN EndHeld ELSE End(t)) /\ UNCHANGED <<inside, late>>
      [] OTHER -> \* what a call answers
            /\ UNCHANGED <<inside, late>> /\ Still
            /\ CASE op = "has" -> set = IF t = Closer THEN held ELSE work[t]
                 [] op \in {"in", "refused", "gone", "done"} -> pc[t] = op

Follow ==
    /\ next <= Len(Events) /\ Event(Events[next]) /\ next' = next + 1 /\ UNCHANGED trace
    /\ (next' > Len(Events) => PrintT(<<"accepted", trace>>))
TraceSpec == TraceInit /\ [][Follow]_all
=============================================================================
