------------------------------- MODULE Runners -------------------------------
(* Models src/runtime/runners.c: hd_runners_submit, hd_runners_resume, add_ready, take_ready, run_queue *)
(* (with take_work and park), hd_runners_drain.                                                       *)
(* Promises: SAFE (one runner a queue, in order), ONCE (each work ends once), BOUND (no lost         *)
(* wake-up, no lost resumption: all work ends).                                                      *)
(*                                                                                                   *)
(* Grain: one action is what is done under one lock, or one call of work outside.                    *)
(* Abstracted: any work may park once; what it waits for is armed when it runs and comes at any      *)
(* later time, also before the queue rests. One thread drains, beginning at any time, without a      *)
(* limit. Where Offering, any work may be driven by its submitter: a runner of its own then, for one   *)
(* work. A long work ends its queue's turn, as the last of TurnLength works does. hd_runners_run is  *)
(* a submission and that thread's wait for one queue. The end of the runners is not modelled: the    *)
(* explorer runs it.                                                                                 *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS Runners, QueueCount, WorkCount, TurnLength,
    Draining, \* whether a thread drains
    Offering, \* whether submitters may drive
    Mutant

Queues == 1..QueueCount
Submitter(q) == <<"submitter", q>>
Resumer(q) == <<"resumer", q>>
Driver(q) == <<"driver", q>> \* the submitter while it drives
Drivers == IF Offering THEN {Driver(q) : q \in Queues} ELSE {}
Workers == Runners \cup Drivers
Home(r) == IF r \in Drivers THEN "out" ELSE "take"
Helpers == {Submitter(q) : q \in Queues} \cup {Resumer(q) : q \in Queues}
None == 0

VARIABLES
    state, resumed, pending, \* of each queue, under its lock
    list, asleep,            \* under the lock of the runners
    sent, done,              \* of each queue: works handed over, works ended
    parked, armed,           \* of each queue: a work has parked; a resumption is to come
    pc, at, cur, turn,       \* at: the queue that a runner has
    drain                    \* where: the queue that is awaited, 0 before, QueueCount + 1 after;
                             \* asleep: on its condition; sent: of each queue, when it began (a ghost)

runVars == <<state, resumed, pending, list, asleep, sent, done, parked, armed, pc, at, cur, turn>>
vars == <<runVars, drain>>
Go(t, where) == pc' = [pc EXCEPT ![t] = where]
Set(q, s) == state' = [state EXCEPT ![q] = s]

Init ==
    /\ state = [q \in Queues |-> "idle"] /\ resumed = [q \in Queues |-> FALSE]
    /\ pending = [q \in Queues |-> <<>>] /\ list = <<>> /\ asleep = {}
    /\ sent = [q \in Queues |-> 0] /\ done = [q \in Queues |-> 0]
    /\ parked = [q \in Queues |-> FALSE] /\ armed = [q \in Queues |-> FALSE]
    /\ pc = [t \in Workers \cup Helpers |-> IF t \in Runners THEN "take" ELSE "out"]
    /\ at = [r \in Workers |-> None] /\ cur = [r \in Workers |-> None]
    /\ turn = [r \in Workers |-> 0]
    /\ drain = [where |-> 0, asleep |-> FALSE, sent |-> [q \in Queues |-> 0]]

\* ---- add_ready, by whoever made the queue ready
Append1(q) ==
    /\ list' = Append(list, q)
    /\ IF asleep # {} /\ Mutant # "no_signal" THEN \E r \in asleep : asleep' = asleep \ {r}
       ELSE UNCHANGED asleep

\* ---- hd_runners_submit
Submit(q) ==
    LET t == Submitter(q)
        ready == state[q] = "idle" \/ (Mutant = "ready_while_running" /\ state[q] = "running")
    IN  /\ pc[t] = "out" /\ sent[q] < WorkCount
        /\ sent' = [sent EXCEPT ![q] = @ + 1] /\ pending' = [pending EXCEPT ![q] = Append(@, sent[q] + 1)]
        /\ IF ready THEN Set(q, "ready") /\ Go(t, "add") ELSE UNCHANGED <<state, pc>>
        /\ UNCHANGED <<resumed, list, asleep, done, parked, armed, at, cur, turn>>

\* The same for work that its submitter drives: the queue is its. It submits no more until it is out again.
Offer(q) ==
    LET t == Driver(q)
    IN  /\ Offering /\ pc[Submitter(q)] = "out" /\ pc[t] = "out" /\ sent[q] < WorkCount /\ state[q] = "idle"
        /\ sent' = [sent EXCEPT ![q] = @ + 1] /\ pending' = [pending EXCEPT ![q] = Append(@, sent[q] + 1)]
        /\ IF Mutant = "driven_is_idle" THEN UNCHANGED state ELSE Set(q, "running")
        /\ Go(t, "drive") /\ at' = [at EXCEPT ![t] = q] /\ turn' = [turn EXCEPT ![t] = TurnLength]
        /\ UNCHANGED <<resumed, list, asleep, done, parked, armed, cur>>

\* ---- hd_runners_resume
Resume(q) ==
    LET t == Resumer(q)
    IN  /\ pc[t] = "out" /\ armed[q] /\ armed' = [armed EXCEPT ![q] = FALSE]
        /\ resumed' = [resumed EXCEPT ![q] = Mutant # "early_resume_lost"]
        /\ IF state[q] = "parked" THEN Set(q, "ready") /\ Go(t, "add") ELSE UNCHANGED <<state, pc>>
        /\ UNCHANGED <<pending, list, asleep, sent, done, parked, at, cur, turn>>

Add(t, q) ==
    /\ pc[t] = "add" /\ Append1(q) /\ Go(t, "out")
    /\ UNCHANGED <<state, resumed, pending, sent, done, parked, armed, at, cur, turn>>

\* ---- take_ready
TakeReady(r) ==
    /\ pc[r] = "take"
    /\ IF list = <<>> THEN asleep' = asleep \cup {r} /\ Go(r, "sleep") /\ UNCHANGED <<list, at, turn>>
       ELSE /\ at' = [at EXCEPT ![r] = Head(list)] /\ list' = Tail(list)
            /\ turn' = [turn EXCEPT ![r] = 0] /\ Go(r, "begin") /\ UNCHANGED asleep
    /\ UNCHANGED <<state, resumed, pending, sent, done, parked, armed, cur>>

Wake(r) ==
    /\ pc[r] = "sleep" /\ r \notin asleep /\ Go(r, "take")
    /\ UNCHANGED <<state, resumed, pending, list, asleep, sent, done, parked, armed, at, cur, turn>>

\* ---- run_queue. TakeWork(r, rest): the first of `rest`, or the queue is idle
TakeWork(r, rest) ==
    LET q == at[r]
    IN  IF rest = <<>>
        THEN /\ pending' = [pending EXCEPT ![q] = rest] /\ UNCHANGED resumed
             /\ cur' = [cur EXCEPT ![r] = None]
             /\ IF Mutant = "idle_late" THEN Go(r, "idle") /\ Set(q, "running") /\ UNCHANGED at
                ELSE Set(q, "idle") /\ Go(r, Home(r)) /\ at' = [at EXCEPT ![r] = None]
        ELSE /\ pending' = [pending EXCEPT ![q] = Tail(rest)] /\ Set(q, "running")
             /\ resumed' = [resumed EXCEPT ![q] = FALSE]
             /\ cur' = [cur EXCEPT ![r] = Head(rest)] /\ Go(r, "run") /\ UNCHANGED at

IdleLate(r) == \* mutant: idle under the lock taken once more
    /\ pc[r] = "idle" /\ Set(at[r], "idle") /\ Go(r, Home(r)) /\ at' = [at EXCEPT ![r] = None]
    /\ UNCHANGED <<resumed, pending, list, asleep, sent, done, parked, armed, cur, turn>>

Begin(r) ==
    /\ pc[r] \in {"begin", "drive"} /\ TakeWork(r, pending[at[r]])
    /\ UNCHANGED <<list, asleep, sent, done, parked, armed, turn>>

Run(r) ==
    LET q == at[r]
    IN  /\ pc[r] = "run"
        /\ \/ /\ done' = [done EXCEPT ![q] = @ + 1] /\ Go(r, "done") /\ UNCHANGED <<parked, armed>>
           \/ /\ ~parked[q] /\ parked' = [parked EXCEPT ![q] = TRUE]
              /\ armed' = [armed EXCEPT ![q] = TRUE] /\ Go(r, "parks") /\ UNCHANGED done
        /\ UNCHANGED <<state, resumed, pending, list, asleep, sent, at, cur, turn>>

After(r) ==
    LET q == at[r]
        rest == IF pc[r] = "parks" THEN IF Mutant = "parked_behind" THEN Append(pending[q], cur[r])
                                        ELSE <<cur[r]>> \o pending[q]
                ELSE pending[q]
    IN  /\ pc[r] \in {"done", "parks"} /\ turn' = [turn EXCEPT ![r] = @ + 1]
        /\ IF pc[r] = "parks" /\ ~resumed[q]
           THEN /\ Set(q, "parked") /\ pending' = [pending EXCEPT ![q] = rest] /\ Go(r, Home(r))
                /\ at' = [at EXCEPT ![r] = None] /\ cur' = [cur EXCEPT ![r] = None] /\ UNCHANGED resumed
           ELSE IF Mutant = "driver_keeps_the_rest" /\ r \in Drivers /\ rest # <<>>
           THEN /\ pending' = [pending EXCEPT ![q] = rest] /\ Go(r, "out") /\ UNCHANGED <<state, resumed>>
                /\ at' = [at EXCEPT ![r] = None] /\ cur' = [cur EXCEPT ![r] = None]
           ELSE IF turn[r] + 1 >= TurnLength /\ rest # <<>>
           THEN /\ Set(q, "ready") /\ pending' = [pending EXCEPT ![q] = rest] /\ Go(r, "add")
                /\ cur' = [cur EXCEPT ![r] = None] /\ UNCHANGED <<resumed, at>>
           ELSE TakeWork(r, rest)
        /\ UNCHANGED <<list, asleep, sent, done, parked, armed>>

AddAgain(r) ==
    /\ pc[r] = "add" /\ Append1(at[r]) /\ Go(r, Home(r)) /\ at' = [at EXCEPT ![r] = None]
    /\ UNCHANGED <<state, resumed, pending, sent, done, parked, armed, cur, turn>>

\* ---- hd_runners_drain. Whoever lets a queue go idle wakes who waits for that.
BeginDrain ==
    /\ Draining /\ drain.where = 0 /\ drain' = [where |-> 1, asleep |-> FALSE, sent |-> sent]
    /\ UNCHANGED runVars

Looks(q) == IF Mutant = "drain_looks_at_work" THEN pending[q] = <<>> ELSE state[q] = "idle"
Drain ==
    /\ drain.where \in Queues /\ ~drain.asleep
    /\ drain' = IF Looks(drain.where) THEN [drain EXCEPT !.where = @ + 1] ELSE [drain EXCEPT !.asleep = TRUE]
    /\ UNCHANGED runVars

Woken == \* with each step of a runner or helper
    drain' = IF drain.asleep /\ state[drain.where] # "idle" /\ state'[drain.where] = "idle"
                /\ Mutant # "drain_not_told"
             THEN [drain EXCEPT !.asleep = FALSE] ELSE drain

DriverSteps(r) == (Begin(r) \/ Run(r) \/ After(r) \/ AddAgain(r) \/ IdleLate(r)) /\ Woken
RunnerSteps(r) == (TakeReady(r) \/ Wake(r) \/ Begin(r) \/ Run(r) \/ After(r) \/ AddAgain(r) \/ IdleLate(r)) /\ Woken
HelperSteps(q) == (Submit(q) \/ Offer(q) \/ Resume(q) \/ Add(Submitter(q), q) \/ Add(Resumer(q), q)) /\ Woken
AllDone ==
    /\ (\A q \in Queues : done[q] = WorkCount) /\ (\A r \in Runners : r \in asleep)
    /\ drain.where \in {0, QueueCount + 1} /\ UNCHANGED vars
Next == (\E r \in Runners : RunnerSteps(r)) \/ (\E r \in Drivers : DriverSteps(r)) \/ (\E q \in Queues : HelperSteps(q)) \/ BeginDrain \/ Drain \/ AllDone
\* All that is asked of the scheduler: while anything can go on, something does.
Spec == Init /\ [][Next]_vars
        /\ WF_vars((\E r \in Runners : RunnerSteps(r)) \/ (\E r \in Drivers : DriverSteps(r)) \/ Drain \/ (\E q \in Queues : HelperSteps(q)))

\* ---- what must hold
Working == {"begin", "drive", "run", "done", "parks", "add", "idle"}
OneRunner == \A r, s \in Workers : r # s /\ pc[r] \in Working /\ pc[s] \in Working => at[r] # at[s]
InOrder == \A r \in Workers : pc[r] = "run" => cur[r] = done[at[r]] + 1
Listed(q) == Cardinality({i \in 1..Len(list) : list[i] = q})
             + Cardinality({t \in {Submitter(q), Resumer(q)} : pc[t] = "add"})
             + Cardinality({r \in Workers : at[r] = q /\ pc[r] \in {"add", "begin"}})
ListedWhileReady == \A q \in Queues : Listed(q) = IF state[q] = "ready" THEN 1 ELSE 0
WorkIsNotIdle == \A q \in Queues : pending[q] # <<>> => state[q] # "idle"
DrainedIsDone == \* what was submitted before the drain began has ended when it is past the queue
    \A q \in Queues : q < drain.where => done[q] >= drain.sent[q]
DrainEnds == (drain.where = 1) ~> (drain.where = QueueCount + 1)
AllWorkEnds == <>(\A q \in Queues : done[q] = WorkCount)
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go Set Append1
  hd_runners_submit: Submit Offer
  hd_runners_resume: Resume
  add_ready: Add AddAgain
  take_ready: TakeReady Wake
  take_work: TakeWork
  a mutant: IdleLate
  run_queue hd_runners_drive: Begin Run
  park: After
  hd_runners_drain await_idle: BeginDrain Drain Woken
  the end: AllDone

properties: the promise, and what asserts it in the code
  OneRunner: SAFE SAFE.one-runner-a-queue
  InOrder: SAFE SAFE.in-order
  ListedWhileReady: BOUND explorer:deadlock
  WorkIsNotIdle: BOUND ONCE.queue-empty explorer:deadlock
  DrainedIsDone: ONCE ONCE.drained
  DrainEnds: BOUND explorer:deadlock
  AllWorkEnds: BOUND explorer:deadlock
