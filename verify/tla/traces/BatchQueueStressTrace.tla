----------------------- MODULE BatchQueueStressTrace -----------------------
(* Whether what threads of the system saw of src/runtime/batch_queue.c can be a behaviour of BatchQueue. A trace is a   *)
(* round of verify/tla/traces/stress.c: of each thread its calls, with what each was given and answered, and which      *)
(* calls of other threads had ended before it began (of each thread how many; of calls that overlap nothing is known).  *)
(* TLC looks for an order: a call's actions come behind those of all calls that had ended before it began, and it has   *)
(* ended once its answer is there. A trace is accepted when some behaviour has all calls.                               *)
EXTENDS BatchQueue, BatchQueueStressTraces

VARIABLES trace,
    ended \* of each thread: how many of its calls
all == <<vars, trace, ended>>

Calls == Traces[trace].calls
Threads == DOMAIN Calls
TraceInit ==
    /\ trace \in 1..Len(Traces) /\ ended = [t \in DOMAIN Traces[trace].calls |-> 0]
    /\ InitWith(Traces[trace].rows, Traces[trace].capacity, Traces[trace].delay)

\* What a call of r may do, by what it was given.
Submits(r, limit) ==
    \/ Submit(r) /\ (pc'[r] = "refused" => q.closed \/ limit = "none") /\ (pc'[r] = "line" => limit # "none")
    \/ r \notin q.asleep /\ WakeInLine(r)
    \/ limit = "some" /\ ExpireInLine(r)
Collects(w) == Collect(w) \/ WakeIdle(w) \/ WakeForMore(w)
Act(c) ==
    CASE c.op = "submit" -> Submits(c.who, c.limit)
      [] c.op = "collect" -> Collects(c.who)
      [] c.op = "ends" -> End(c.who)
      [] c.op = "drain" -> pc[Closer] = "open" /\ Close(FALSE)
      [] c.op = "cancel" -> pc[Closer] = "open" /\ Close(TRUE)
      [] c.op = "end" -> EndHeld \/ NoteHeld
      [] c.op = "await" -> Await
Answered(c) == \* whether the call is over; what it says then must be so
    CASE c.op = "submit" -> pc'[c.who] \in {"in", "refused"}
      [] c.op = "collect" -> pc'[c.who] \in {"run", "gone"}
      [] c.op \in {"ends", "drain", "cancel"} -> TRUE
      [] c.op = "end" -> pc'[Closer] = "wait"
      [] c.op = "await" -> pc'[Closer] = "done"
Says(c) ==
    CASE c.op = "submit" -> pc'[c.who] = c.answer
      [] c.op = "collect" -> work'[c.who] = c.set /\ pc'[c.who] = c.answer
      [] c.op = "cancel" -> held' = c.set
      [] OTHER -> TRUE

Step(t) ==
    LET c == Calls[t][ended[t] + 1] IN
    /\ ended[t] < Len(Calls[t]) /\ \A o \in Threads : ended[o] >= c.after[o]
    /\ Act(c)
    /\ IF Answered(c) THEN Says(c) /\ ended' = [ended EXCEPT ![t] = @ + 1] ELSE UNCHANGED ended
    /\ UNCHANGED trace
    /\ (\A o \in Threads : ended'[o] = Len(Calls[o])) => PrintT(<<"accepted", trace>>)
TraceSpec == TraceInit /\ [][\E t \in Threads : Step(t)]_all
=============================================================================
