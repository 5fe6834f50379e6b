----------------------------- MODULE FullSystem ------------------------------
(* Models how the parts work together, along src/runtime/stream_api.c, src/runtime/memory_api.c,     *)
(* src/runtime/event.c, src/graph/model_async.c (execute_run), src/runtime/runners.c (run_queue) and  *)
(* hd_device_shutdown and hd_device_destroy in src/runtime/device.c. Each thread acquires a stream,  *)
(* allocates a block, may let the stream wait for the event, submits a run that uses the block, may  *)
(* record the event, frees the block, releases the stream, and waits for the run's future, which it  *)
(* may cancel at any time. Somebody may shut the device down at any time, and its owner gives the    *)
(* handle back while work is in flight.                                                              *)
(* Promises: SAFE (order within and across streams), ONCE (each future ends once, and a shutdown     *)
(* that answers HD_OK has seen all of them end), BOUND (everything ends, a runner never waits),      *)
(* REUSE (slots, blocks and the device go to nobody before their last use is done).                  *)
(*                                                                                                   *)
(* Grain: one action is one operation of one object, whose own spec shows it to be atomic; what a    *)
(* runner does after a piece of work (signal, slot, future, reference) is an action each.            *)
(* Abstracted: what the objects' own specs check: locks, wake-ups, refusals by time limits. A full   *)
(* stream, and no free slot or block, are waited for. References are counted for works, the owner    *)
(* and a shutdown.                                                                                   *)
EXTENDS Naturals, Sequences, TLC

CONSTANTS Threads, Runners, Blocks,
    StreamCount, QueueCount, Depth, Rounds,
    Cancels, Closes, \* whether futures are cancelled, whether somebody may shut the device down
    Mutant

Streams == 1..StreamCount
Queues == 0..(QueueCount - 1)
QueueOf(s) == s % QueueCount
Nobody == "nobody"
NoPoint == <<0, 0>>
NoWork == [kind |-> "none"]

VARIABLES
    idle, refusing,                       \* the slot pool
    owner, closed, leaving,               \* of each stream
    submitted, completed,                 \* its timeline
    queue, parked, busy,                  \* of each queue: works, whether it waits, whose it is
    cur, run,                             \* of each runner
    event,                                \* the point that it marks
    state, point, home, uses,             \* of each block: its state, the point of its stream; a number of uses
    outcome, final, ends,                 \* of each thread: its future
    requested,                            \* of each thread: stream and point of its run; a ghost
    device,                               \* references; 0: freed
    mine, block, after, round, pc         \* after: the mark that the stream was told to wait for; a ghost

poolVars == <<idle, refusing>>
streamVars == <<owner, closed, leaving>>
queueVars == <<queue, parked, busy>>
blockVars == <<state, point, home, uses>>
futureVars == <<outcome, final, ends, requested>>
ownVars == <<mine, block, after, round>>
vars == <<poolVars, streamVars, submitted, completed, queueVars, cur, run, event, blockVars, futureVars, device,
          ownVars, pc>>
Go(t, where) == pc' = [pc EXCEPT ![t] = where]
Reached(p) == p = NoPoint \/ completed[p[1]] >= p[2]
Drained(s) == completed[s] = submitted[s]

Init ==
    /\ idle = Streams /\ refusing = FALSE
    /\ owner = [s \in Streams |-> Nobody] /\ closed = [s \in Streams |-> FALSE]
    /\ leaving = [s \in Streams |-> FALSE]
    /\ submitted = [s \in Streams |-> 0] /\ completed = [s \in Streams |-> 0]
    /\ queue = [q \in Queues |-> <<>>] /\ parked = [q \in Queues |-> FALSE] /\ busy = [q \in Queues |-> Nobody]
    /\ cur = [r \in Runners |-> NoWork] /\ run = [r \in Runners |-> "idle"] /\ event = NoPoint
    /\ state = [b \in Blocks |-> "common"] /\ point = [b \in Blocks |-> 0] /\ home = [b \in Blocks |-> 0]
    /\ uses = [b \in Blocks |-> 0]
    /\ outcome = [t \in Threads |-> "none"] /\ final = [t \in Threads |-> FALSE]
    /\ ends = [t \in Threads |-> 0] /\ requested = [t \in Threads |-> NoPoint]
    /\ device = 1
    /\ mine = [t \in Threads |-> 0] /\ block = [t \in Threads |-> Nobody] /\ after = [t \in Threads |-> NoPoint]
    /\ round = [t \in Threads |-> 0] /\ pc = [t \in Threads \cup {"closer", "owner"} |-> "out"]

\* ---- hd_stream_acquire
Acquire(t) ==
    /\ pc[t] = "out" /\ round[t] < Rounds
    /\ IF refusing THEN Go(t, "end") /\ UNCHANGED <<idle, mine>>
       ELSE \E s \in idle : /\ \A x \in idle : s <= x \* the lowest
                           /\ idle' = idle \ {s} /\ mine' = [mine EXCEPT ![t] = s]
                           /\ Go(t, "begin")
    /\ round' = [round EXCEPT ![t] = @ + 1] /\ after' = [after EXCEPT ![t] = NoPoint]
    /\ outcome' = [outcome EXCEPT ![t] = "none"] /\ final' = [final EXCEPT ![t] = FALSE]
    /\ ends' = [ends EXCEPT ![t] = 0] /\ requested' = [requested EXCEPT ![t] = NoPoint]
    /\ UNCHANGED <<refusing, streamVars, submitted, completed, queueVars, cur, run, event, blockVars, device,
                   block>>

Begin(t) ==
    LET s == mine[t]
    IN  /\ pc[t] = "begin"
        /\ IF closed[s] THEN /\ idle' = idle \cup {s} /\ Go(t, "wait") /\ UNCHANGED owner
           ELSE owner' = [owner EXCEPT ![s] = t] /\ Go(t, "allocate") /\ UNCHANGED idle
        /\ UNCHANGED <<refusing, closed, leaving, submitted, completed, queueVars, cur, run, event, blockVars,
                       futureVars, device, ownVars>>

\* ---- hd_memory_allocate, hd_memory_free
Available(b, s) ==
    \/ state[b] = "common"
    \/ state[b] = "cached" /\ (home[b] = s \/ Reached(<<home[b], point[b]>>))

Allocate(t) ==
    LET s == mine[t]
    IN  /\ pc[t] = "allocate"
        /\ IF closed[s] THEN Go(t, "release") /\ UNCHANGED <<blockVars, block>>
           ELSE \E b \in Blocks :
                /\ Available(b, s) /\ block' = [block EXCEPT ![t] = b] /\ state' = [state EXCEPT ![b] = "use"]
                /\ uses' = [uses EXCEPT ![b] = @ + 1] /\ home' = [home EXCEPT ![b] = s]
                /\ point' = [point EXCEPT ![b] = 0] /\ Go(t, "barrier")
        /\ UNCHANGED <<poolVars, streamVars, submitted, completed, queueVars, cur, run, event, futureVars, device,
                       mine, after, round>>

Free(t) ==
    LET b == block[t]
    IN  /\ pc[t] = "free" /\ Go(t, "release") /\ block' = [block EXCEPT ![t] = Nobody]
        /\ state' = [state EXCEPT ![b] = IF Mutant = "freed_at_once" THEN "common" ELSE IF Mutant = "block_kept" THEN "use" ELSE "cached"]
        /\ point' = [point EXCEPT ![b] = submitted[home[b]]]
        /\ UNCHANGED <<poolVars, streamVars, submitted, completed, queueVars, cur, run, event, home, uses,
                       futureVars, device, mine, after, round>>

\* ---- hd_device_submit: under the stream's lock; each work keeps the device
Good(t) == ~closed[mine[t]] /\ owner[mine[t]] = t
Place(t) == submitted[mine[t]] - completed[mine[t]] < Depth
Next1(t) == submitted[mine[t]] + 1
Work(t, kind) == [kind |-> kind, thread |-> t, round |-> round[t], stream |-> mine[t], point |-> Next1(t),
                  block |-> block[t], use |-> uses[block[t]],
                  after |-> IF kind = "mark" THEN NoPoint ELSE IF kind = "barrier" THEN event ELSE after[t]]
Submit(t, kind) ==
    LET s == mine[t]
        q == QueueOf(s)
    IN  /\ Good(t) /\ Place(t) /\ submitted' = [submitted EXCEPT ![s] = @ + 1]
        /\ queue' = [queue EXCEPT ![q] = Append(@, Work(t, kind))]
        /\ device' = IF Mutant = "device_not_kept" THEN device ELSE device + 1

Barrier(t) ==
    /\ pc[t] = "barrier" /\ Go(t, "submit")
    /\ \/ event # NoPoint /\ Submit(t, "barrier") /\ after' = [after EXCEPT ![t] = event]
       \/ UNCHANGED <<submitted, queue, device, after>>
    /\ UNCHANGED <<poolVars, streamVars, completed, parked, busy, cur, run, event, blockVars, futureVars, mine,
                   block, round>>

Request(t) ==
    /\ pc[t] = "submit"
    /\ IF Good(t) THEN /\ Submit(t, "run") /\ outcome' = [outcome EXCEPT ![t] = "pending"] /\ Go(t, "mark")
                       /\ requested' = [requested EXCEPT ![t] = <<mine[t], Next1(t)>>]
       ELSE Go(t, "free") /\ UNCHANGED <<submitted, queue, device, outcome, requested>>
    /\ UNCHANGED <<poolVars, streamVars, completed, parked, busy, cur, run, event, blockVars, final, ends, ownVars>>

Mark(t) ==
    /\ pc[t] = "mark" /\ Go(t, "free")
    /\ \/ Submit(t, "mark") /\ event' = <<mine[t], Next1(t)>>
       \/ UNCHANGED <<submitted, queue, device, event>>
    /\ UNCHANGED <<poolVars, streamVars, completed, parked, busy, cur, run, blockVars, futureVars, ownVars>>

\* ---- hd_stream_release, and hd_stream_close for each stream: the slot goes back when the last work is done
Leave(s, drained) ==
    /\ owner' = [owner EXCEPT ![s] = Nobody]
    /\ IF drained THEN idle' = idle \cup {s} /\ UNCHANGED leaving
       ELSE leaving' = [leaving EXCEPT ![s] = TRUE] /\ UNCHANGED idle

Release(t) ==
    LET s == mine[t]
    IN  /\ pc[t] = "release" /\ Go(t, "wait")
        /\ IF Good(t) THEN Leave(s, Drained(s) \/ Mutant = "slot_not_drained")
           ELSE UNCHANGED <<owner, leaving, idle>>
        /\ UNCHANGED <<refusing, closed, submitted, completed, queueVars, cur, run, event, blockVars, futureVars,
                       device, ownVars>>

\* ---- hd_future_cancel, hd_future_wait
Holds(r, t) == \* the runner has begun the run that the thread's future is of
    cur[r].kind = "run" /\ cur[r].thread = t /\ cur[r].round = round[t]
    /\ run[r] \in {"execute", "signal", "leave", "finish"}
Cancel(t) == \* what has not begun is final at once
    /\ Cancels /\ pc[t] \in {"mark", "free", "release", "wait"}
    /\ outcome[t] = "pending" \/ (Mutant = "outcome_overwritten" /\ outcome[t] = "ok")
    /\ outcome' = [outcome EXCEPT ![t] = "cancelled"]
    /\ IF outcome[t] = "pending" /\ ~\E r \in Runners : Holds(r, t) /\ Mutant # "held_ignored"
       THEN final' = [final EXCEPT ![t] = TRUE] /\ ends' = [ends EXCEPT ![t] = @ + 1]
       ELSE UNCHANGED <<final, ends>>
    /\ UNCHANGED <<poolVars, streamVars, submitted, completed, queueVars, cur, run, event, blockVars, requested,
                   device, ownVars, pc>>

Wait(t) ==
    /\ pc[t] = "wait" /\ (outcome[t] = "none" \/ final[t]) /\ Go(t, IF round[t] < Rounds THEN "out" ELSE "end")
    /\ UNCHANGED <<poolVars, streamVars, submitted, completed, queueVars, cur, run, event, blockVars, futureVars,
                   device, ownVars>>

\* ---- the runners
RunTo(r, where) == run' = [run EXCEPT ![r] = where]
Take(r) ==
    /\ run[r] = "idle"
    /\ \E q \in Queues :
        /\ queue[q] # <<>> /\ ~parked[q] /\ busy[q] = Nobody
        /\ busy' = [busy EXCEPT ![q] = r] /\ cur' = [cur EXCEPT ![r] = Head(queue[q])]
        /\ queue' = [queue EXCEPT ![q] = Tail(@)]
    /\ RunTo(r, "begin")
    /\ UNCHANGED <<poolVars, streamVars, submitted, completed, parked, event, blockVars, futureVars, device,
                   ownVars, pc>>

Dispatch(r) ==
    LET w == cur[r]
        q == QueueOf(w.stream)
        rests == w.kind = "barrier" /\ ~Reached(w.after)
    IN  /\ run[r] = "begin" /\ (Mutant = "runner_waits" => ~rests)
        /\ IF rests /\ Mutant # "barrier_ignored"
           THEN /\ queue' = [queue EXCEPT ![q] = IF Mutant = "parked_behind" THEN Append(@, w) ELSE <<w>> \o @]
                /\ parked' = [parked EXCEPT ![q] = Mutant # "looks_again"] /\ busy' = [busy EXCEPT ![q] = Nobody]
                /\ cur' = [cur EXCEPT ![r] = NoWork] /\ RunTo(r, "idle")
           ELSE /\ RunTo(r, IF w.kind = "run" /\ w.round = round[w.thread] /\ outcome[w.thread] = "pending"
                            THEN "execute"
                            ELSE IF Mutant = "future_first" THEN "finish" ELSE "signal")
                /\ UNCHANGED <<queueVars, cur>>
        /\ UNCHANGED <<poolVars, streamVars, submitted, completed, event, blockVars, futureVars, device, ownVars,
                       pc>>

Execute(r) == \* while it is here, the run uses its block
    /\ run[r] = "execute" /\ RunTo(r, IF Mutant = "future_first" THEN "finish" ELSE "signal")
    /\ UNCHANGED <<poolVars, streamVars, submitted, completed, queueVars, cur, event, blockVars, futureVars,
                   device, ownVars, pc>>

\* hd_stream_complete: the point, with those who watch for it; then the slot
Signal(r) ==
    LET w == cur[r]
    IN  /\ run[r] = "signal" /\ completed' = [completed EXCEPT ![w.stream] = w.point] /\ RunTo(r, "leave")
        /\ parked' = IF Mutant = "watch_lost" THEN parked
                     ELSE [q \in Queues |-> parked[q] /\ ~(completed'[Head(queue[q]).after[1]]
                                                            >= Head(queue[q]).after[2])]
        /\ UNCHANGED <<poolVars, streamVars, submitted, queue, busy, cur, event, blockVars, futureVars, device,
                       ownVars, pc>>

LeaveSlot(r) ==
    LET s == cur[r].stream
        last == leaving[s] /\ Drained(s)
    IN  /\ run[r] = "leave" /\ RunTo(r, IF Mutant = "future_first" THEN "drop" ELSE "finish")
        /\ leaving' = [leaving EXCEPT ![s] = @ /\ ~last] /\ idle' = IF last THEN idle \cup {s} ELSE idle
        /\ UNCHANGED <<refusing, owner, closed, submitted, completed, queueVars, cur, event, blockVars, futureVars,
                       device, ownVars, pc>>

Finish(r) ==
    LET t == cur[r].thread
    IN  /\ run[r] = "finish" /\ RunTo(r, IF Mutant = "future_first" THEN "signal" ELSE "drop")
        /\ IF cur[r].kind = "run" /\ cur[r].round = round[t] /\ (~final[t] \/ Mutant = "ended_again")
           THEN /\ outcome' = [outcome EXCEPT ![t] = IF @ = "pending" THEN "ok" ELSE @]
                /\ final' = [final EXCEPT ![t] = TRUE] /\ ends' = [ends EXCEPT ![t] = @ + 1]
           ELSE UNCHANGED <<outcome, final, ends>>
        /\ UNCHANGED <<poolVars, streamVars, submitted, completed, queueVars, cur, event, blockVars, requested,
                       device, ownVars, pc>>

Drop(r) == \* the work's reference, maybe the last; then the next work
    /\ run[r] = "drop" /\ device' = IF Mutant = "device_not_kept" THEN device ELSE device - 1
    /\ busy' = [busy EXCEPT ![QueueOf(cur[r].stream)] = Nobody] /\ cur' = [cur EXCEPT ![r] = NoWork]
    /\ RunTo(r, "idle")
    /\ UNCHANGED <<poolVars, streamVars, submitted, completed, queue, parked, event, blockVars, futureVars,
                   ownVars, pc>>

\* ---- hd_device_shutdown
CloserVars == <<submitted, completed, queueVars, cur, run, event, blockVars, futureVars, ownVars>>
Refuse ==
    /\ Closes /\ pc["closer"] = "out" /\ refusing' = TRUE /\ device' = device + 1 /\ Go("closer", "close")
    /\ UNCHANGED <<idle, streamVars, CloserVars>>

NoShutdown ==
    /\ pc["closer"] = "out" /\ Go("closer", "end")
    /\ UNCHANGED <<poolVars, streamVars, device, CloserVars>>

Close == \* one stream after the other
    /\ pc["closer"] = "close"
    /\ IF \A s \in Streams : closed[s]
       THEN Go("closer", "await") /\ UNCHANGED <<idle, streamVars>>
       ELSE LET s == CHOOSE x \in Streams : ~closed[x] /\ \A y \in Streams : y < x => closed[y]
            IN  /\ closed' = [closed EXCEPT ![s] = TRUE] /\ UNCHANGED pc
                /\ IF owner[s] = Nobody THEN UNCHANGED <<idle, owner, leaving>> ELSE Leave(s, Drained(s))
    /\ UNCHANGED <<refusing, device, CloserVars>>

Await == \* the slots, then the queues; either may not come in time
    /\ \/ pc["closer"] = "await" /\ idle = Streams
          /\ Go("closer", IF Mutant = "not_drained" THEN "ok" ELSE "drain")
       \/ pc["closer"] = "drain" /\ (\A q \in Queues : queue[q] = <<>> /\ busy[q] = Nobody) /\ Go("closer", "ok")
       \/ pc["closer"] = "await" /\ idle # Streams /\ Go("closer", "not yet")
    /\ UNCHANGED <<poolVars, streamVars, device, CloserVars>>

Answer ==
    /\ pc["closer"] \in {"ok", "not yet"} /\ device' = device - 1 /\ Go("closer", "end")
    /\ UNCHANGED <<poolVars, streamVars, CloserVars>>

\* ---- hd_device_destroy: nobody is still to begin with the handle, but work may be in flight
GiveHandle ==
    /\ pc["owner"] = "out" /\ pc["closer"] # "out"
    /\ \A t \in Threads : pc[t] = "end" \/ (pc[t] = "wait" /\ round[t] = Rounds)
    /\ device' = device - 1 /\ Go("owner", "end")
    /\ UNCHANGED <<poolVars, streamVars, CloserVars>>

Calls(t) == Acquire(t) \/ Begin(t) \/ Allocate(t) \/ Free(t) \/ Barrier(t) \/ Request(t) \/ Mark(t) \/ Release(t)
            \/ Wait(t)
Runs(r) == Take(r) \/ Dispatch(r) \/ Execute(r) \/ Signal(r) \/ LeaveSlot(r) \/ Finish(r) \/ Drop(r)
Closer == NoShutdown \/ Close \/ Await \/ Answer
AllEnded == (\A x \in DOMAIN pc : pc[x] = "end") /\ (\A r \in Runners : run[r] = "idle")
            /\ \A q \in Queues : queue[q] = <<>>
Next ==
    \/ \E t \in Threads : Calls(t) \/ Cancel(t)
    \/ \E r \in Runners : Runs(r)
    \/ Closer \/ Refuse \/ GiveHandle
    \/ AllEnded /\ UNCHANGED vars
Spec ==
    /\ Init /\ [][Next]_vars
    \* All that is asked of the scheduler: while anything can go on, something does.
    /\ WF_vars((\E t \in Threads : Calls(t)) \/ (\E r \in Runners : Runs(r)) \/ Closer \/ GiveHandle)

\* ---- what must hold
InFlight == \* works whose points are not reached yet
    UNION {{queue[q][i] : i \in 1..Len(queue[q])} : q \in Queues}
    \cup {cur[r] : r \in {x \in Runners : run[x] \in {"begin", "execute", "signal"}}}
Executing == {cur[r] : r \in {x \in Runners : run[x] = "execute"}}
IdleMeansDrained == \A s \in idle : Drained(s) /\ owner[s] = Nobody
InOrder == \* the point that is reached next is that of the first work in flight
    \A w \in InFlight : w.point > completed[w.stream]
    /\ (w \in Executing => w.point = completed[w.stream] + 1)
EventsAreWaitedFor == \A w \in Executing : Reached(w.after)
BlocksAreOneRuns == \* no run of an earlier use is in flight
    \A w \in Executing : \A x \in InFlight : x.kind = "run" /\ x.block = w.block => x.use >= w.use
FinalMeansReached == \A t \in Threads :
    final[t] => outcome[t] # "pending" /\ (outcome[t] = "ok" => Reached(requested[t]))
FinalMeansUntouched == \A t \in Threads : final[t] => ~\E r \in Runners : Holds(r, t) /\ run[r] = "execute"
EndsOnce == \A t \in Threads : ends[t] <= 1
ShutdownSawAllEnd == pc["closer"] = "ok" => InFlight = {} /\ \A t \in Threads : outcome[t] # "none" => final[t]
FreedMeansUnused == device = 0 =>
    /\ \A q \in Queues : queue[q] = <<>> /\ busy[q] = Nobody
    /\ pc["closer"] = "end" /\ pc["owner"] = "end"
NothingLeaks == AllEnded => device = 0 /\ idle = Streams /\ \A b \in Blocks : state[b] # "use"
OutcomeStands == [][\A t \in Threads : outcome[t] \in {"ok", "cancelled"} =>
                    outcome'[t] = outcome[t] \/ round'[t] # round[t]]_vars
EverythingEnds == <>AllEnded
Alike == Permutations(Threads) \cup Permutations(Runners) \cup Permutations(Blocks)
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go RunTo
  hd_stream_acquire: Acquire Begin
  hd_memory_allocate: Allocate
  hd_memory_free: Free
  hd_device_submit hd_stream_try_submit: Submit Request Refuse
  hd_event_wait_on_stream: Barrier
  hd_event_record: Mark
  hd_stream_release hd_stream_close: Leave Release
  hd_future_cancel: Cancel
  hd_future_wait: Wait
  run_queue: Take Dispatch
  execute_run: Execute
  hd_stream_complete: Signal LeaveSlot
  hd_future_finish: Finish
  hd_device_destroy: Drop GiveHandle
  hd_device_shutdown: NoShutdown Close Await Answer

properties: the promise, and what asserts it in the code
  IdleMeansDrained: REUSE ONCE.slot-back
  InOrder: SAFE SAFE.in-order SAFE.timeline-in-order
  EventsAreWaitedFor: SAFE SAFE.barrier
  BlocksAreOneRuns: REUSE REUSE.in-flight
  FinalMeansReached: ONCE ONCE.complete-before-final
  FinalMeansUntouched: REUSE REUSE.written-before-complete
  EndsOnce: ONCE ONCE.called-once
  ShutdownSawAllEnd: ONCE ONCE.final-after-shutdown
  FreedMeansUnused: REUSE explorer:freed
  NothingLeaks: ONCE explorer:leak
  OutcomeStands: ONCE ONCE.outcome-stands
  EverythingEnds: BOUND BOUND.shutdown
