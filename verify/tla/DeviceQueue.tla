---------------------------- MODULE DeviceQueue ----------------------------
(* Models src/runtime/device_queue.c: hd_device_queue_submit, hd_device_queue_wait; what            *)
(* src/graph/plan_replay.c makes of them (replay_recipe, settle); and what a backend owes them       *)
(* (hal/backend.h), as src/hal/sim/queue.c does it: append, serve with await_turn, wait_for.         *)
(* Promises: SAFE (one thread at a time in the backend's submit; a point is that of the launch       *)
(* whose thread was told it), REUSE (a lane's memory is no other run's before its launches are       *)
(* done), STATUS (HD_OK only for what was computed, HD_LOST only when nothing is computed any more), *)
(* BOUND (every wait ends, after a loss too).                                                        *)
(*                                                                                                   *)
(* Grain: entering and leaving the backend's submit are actions of their own, so two threads overlap *)
(* where a state has both inside. Otherwise one action is what happens under one lock, or between    *)
(* two of them. The device is one thread a queue, and may be lost between any two actions.           *)
(* Abstracted: a run's lane is leased in one step; a launch touches its lane's memory while it is    *)
(* computed; how who waits is woken (Timeline): it goes on whenever its answer is there. plan_replay *)
(* gives launches no points of other queues to wait for yet; the interface has them, so they are     *)
(* here.                                                                                             *)
EXTENDS Naturals, FiniteSets, Sequences, TLC

CONSTANTS Threads,
    LaneCount, QueueCount, \* lanes share the queues in turn, as in hd_device_hardware
    Rounds,                \* runs of a thread
    Parts,                 \* launches of a run, at most
    Mutant

Queues == 1..QueueCount
Lanes == 1..LaneCount
Nobody == "nobody"
NoLane == 0
NoWait == [queue |-> 1, point |-> 0]

VARIABLES
    lock,     \* of each queue: who has hd_device_queue.mutex
    last,     \* of each queue: hd_device_queue.submitted
    kept,     \* of each queue: the launches submitted, their points being their places
    reached,  \* of each queue: its last point that is reached
    taken,    \* of each queue: how many launches the device has taken
    serving,  \* of each queue: what the device does with the last one taken
    computed, \* <<queue, point>> of what was computed to its end
    lost,
    lane,     \* of each thread: its run's
    given,    \* of each thread: the points of its run's launches, in order
    status,   \* of each thread: what its run has got so far
    run, pc

vars == <<lock, last, kept, reached, taken, serving, computed, lost, lane, given, status, run, pc>>
device == <<reached, taken, serving, computed, lost>>
Go(t, where) == pc' = [pc EXCEPT ![t] = where]
QueueOf(t) == (lane[t] % QueueCount) + 1
Pending(t) == given[t][Len(given[t])]

Init ==
    /\ lock = [q \in Queues |-> Nobody] /\ last = [q \in Queues |-> 0] /\ kept = [q \in Queues |-> <<>>]
    /\ reached = [q \in Queues |-> 0] /\ taken = [q \in Queues |-> 0]
    /\ serving = [q \in Queues |-> "idle"] /\ computed = {} /\ lost = FALSE
    /\ lane = [t \in Threads |-> NoLane] /\ given = [t \in Threads |-> <<>>]
    /\ status = [t \in Threads |-> "ok"] /\ run = [t \in Threads |-> 0] /\ pc = [t \in Threads |-> "out"]

\* ---- a run's lane
Lease(t) == \* hd_device_lease
    /\ pc[t] = "out" /\ run[t] < Rounds
    /\ \E l \in Lanes : (\A o \in Threads : lane[o] # l) /\ lane' = [lane EXCEPT ![t] = l]
    /\ run' = [run EXCEPT ![t] = @ + 1] /\ given' = [given EXCEPT ![t] = <<>>]
    /\ status' = [status EXCEPT ![t] = "ok"] /\ Go(t, "lock")
    /\ UNCHANGED <<lock, last, kept, device>>

Return(t) == \* hd_device_return
    /\ pc[t] = "told" /\ lane' = [lane EXCEPT ![t] = NoLane] /\ Go(t, "out")
    /\ UNCHANGED <<lock, last, kept, device, given, status, run>>

\* ---- hd_device_queue_submit
Lock(t) == \* queue_lock; hd_queue_enqueue begins, and sees which point is the next
    /\ pc[t] = "lock" /\ given' = [given EXCEPT ![t] = Append(@, Len(kept[QueueOf(t)]) + 1)]
    /\ IF Mutant = "no_lock" THEN UNCHANGED lock
       ELSE lock[QueueOf(t)] = Nobody /\ lock' = [lock EXCEPT ![QueueOf(t)] = t]
    /\ Go(t, "inside") /\ UNCHANGED <<last, kept, device, lane, status, run>>

\* A launch may wait for what another queue has been given before.
Waits(q) == {NoWait} \cup {[queue |-> o, point |-> Len(kept[o]) + (IF Mutant = "wait_ahead" THEN 1 ELSE 0)] :
                              o \in Queues \ {q}}

Leave(t) == \* hd_queue_enqueue ends; append in hal/sim/queue.c
    LET q == QueueOf(t) IN
    /\ pc[t] = "inside" /\ Go(t, "unlock")
    /\ IF lost THEN /\ status' = [status EXCEPT ![t] = "lost"] /\ UNCHANGED kept
                    /\ given' = [given EXCEPT ![t] = SubSeq(@, 1, Len(@) - 1)]
       ELSE /\ \E w \in Waits(q) :
                 kept' = [kept EXCEPT ![q] = Append(@, [who |-> t, run |-> run[t], lane |-> lane[t], wait |-> w])]
            /\ UNCHANGED <<given, status>>
    /\ UNCHANGED <<lock, last, device, lane, run>>

Note(q, t) == last' = IF status[t] = "ok" THEN [last EXCEPT ![q] = Pending(t)] ELSE last

\* A run that got HD_LOST still waits for what it has submitted before (the end of hd_plan_replay).
NextPart(t) ==
    IF status[t] = "ok" THEN Go(t, "wait") \/ (Len(given[t]) < Parts /\ Go(t, "lock"))
    ELSE Go(t, IF given[t] = <<>> \/ Mutant = "lost_returns" THEN "told" ELSE "wait")

Unlock(t) == \* the point is noted, queue_unlock
    LET q == QueueOf(t) IN
    /\ pc[t] = "unlock"
    /\ lock' = IF lock[q] = t THEN [lock EXCEPT ![q] = Nobody] ELSE lock
    /\ IF Mutant = "noted_late" THEN UNCHANGED last /\ Go(t, "note") ELSE Note(q, t) /\ NextPart(t)
    /\ UNCHANGED <<kept, device, lane, given, status, run>>

NoteLate(t) == \* mutant: the point is noted after the lock was given back
    /\ pc[t] = "note" /\ Note(QueueOf(t), t) /\ NextPart(t)
    /\ UNCHANGED <<lock, kept, device, lane, given, status, run>>

\* ---- hd_device_queue_wait, as settle calls it; wait_for in hal/sim/queue.c
Reach(t) ==
    /\ pc[t] = "wait"
    /\ reached[QueueOf(t)] + (IF Mutant = "wait_early" THEN 1 ELSE 0) >= Pending(t)
    /\ Go(t, "told") /\ UNCHANGED <<lock, last, kept, device, lane, given, status, run>>

Lost(t) ==
    /\ pc[t] = "wait" /\ reached[QueueOf(t)] < Pending(t) /\ lost /\ Mutant # "loss_not_told"
    /\ serving[QueueOf(t)] = "idle" \/ Mutant = "told_at_once"
    /\ Go(t, "told") /\ status' = [status EXCEPT ![t] = "lost"]
    /\ UNCHANGED <<lock, last, kept, device, lane, given, run>>

\* ---- the device: serve, and await_turn in it, in hal/sim/queue.c
Serve(q, what) == serving' = [serving EXCEPT ![q] = what]
Launch(q) == kept[q][taken[q]]
hosts == <<lock, last, kept, lane, given, status, run, pc>>

Take(q) ==
    /\ serving[q] = "idle" /\ taken[q] < Len(kept[q]) /\ taken' = [taken EXCEPT ![q] = @ + 1]
    /\ Serve(q, "taken") /\ UNCHANGED <<hosts, reached, computed, lost>>

BeginLaunch(q) ==
    /\ serving[q] = "taken" /\ (~lost \/ Mutant = "begun_when_lost")
    /\ reached[Launch(q).wait.queue] >= Launch(q).wait.point \/ Mutant = "wait_ignored"
    /\ Serve(q, "computing") /\ UNCHANGED <<hosts, reached, taken, computed, lost>>

Skip(q) == \* the device was lost before it began
    /\ serving[q] = "taken" /\ lost /\ Mutant # "loss_not_seen" /\ Serve(q, "idle")
    /\ reached' = IF Mutant = "skipped_reached" THEN [reached EXCEPT ![q] = @ + 1] ELSE reached
    /\ UNCHANGED <<hosts, taken, computed, lost>>

Finish(q) ==
    /\ serving[q] = "computing" /\ Serve(q, "idle") /\ computed' = computed \cup {<<q, taken[q]>>}
    /\ reached' = IF lost THEN reached ELSE [reached EXCEPT ![q] = @ + 1]
    /\ UNCHANGED <<hosts, taken, lost>>

Lose ==
    /\ ~lost /\ lost' = TRUE /\ UNCHANGED <<hosts, reached, taken, serving, computed>>

Steps(t) == Return(t) \/ Leave(t) \/ Unlock(t) \/ NoteLate(t) \/ Reach(t) \/ Lost(t)
Gets(t) == Lease(t) \/ Lock(t)
Device(q) == Take(q) \/ BeginLaunch(q) \/ Skip(q) \/ Finish(q)
AllDone == (\A t \in Threads : pc[t] = "out" /\ run[t] = Rounds) /\ UNCHANGED vars
Next == (\E t \in Threads : Steps(t) \/ Gets(t)) \/ (\E q \in Queues : Device(q)) \/ Lose \/ AllDone
Spec ==
    /\ Init /\ [][Next]_vars
    /\ \A t \in Threads : WF_vars(Steps(t)) /\ SF_vars(Gets(t))
    /\ \A q \in Queues : WF_vars(Device(q))
Alike == Permutations(Threads)

\* ---- what must hold
OneInside == \* SAFE
    \A s, t \in Threads : s # t /\ pc[s] = "inside" /\ pc[t] = "inside" => QueueOf(s) # QueueOf(t)
PointsOneByOne == \* SAFE: what HD_CHECK asks of the next submission
    \A q \in Queues : lock[q] = Nobody => last[q] = Len(kept[q])
PointsAreOnes == \* SAFE
    \A t \in Threads : pc[t] \in {"unlock", "wait", "told"} =>
        \A i \in DOMAIN given[t] : LET l == kept[QueueOf(t)][given[t][i]] IN l.who = t /\ l.run = run[t]
WaitsAreKept == \* of launches for points of other queues
    \A q \in Queues : serving[q] = "computing" => reached[Launch(q).wait.queue] >= Launch(q).wait.point
LostMeansUntouched == \* STATUS: nobody is told HD_LOST while its launch is computed
    \A q \in Queues : serving[q] = "computing" =>
        LET l == Launch(q) IN ~(run[l.who] = l.run /\ pc[l.who] = "told" /\ status[l.who] = "lost")
OkMeansComputed == \* STATUS
    \A t \in Threads : pc[t] = "told" /\ status[t] = "ok" =>
        \A i \in DOMAIN given[t] : <<QueueOf(t), given[t][i]>> \in computed
MemoryIsOneRuns == \* REUSE: what is computed has its lane still
    \A q \in Queues : serving[q] = "computing" =>
        LET l == Launch(q) IN run[l.who] = l.run /\ lane[l.who] = l.lane
EveryRunEnds == \A t \in Threads : (pc[t] # "out") ~> (pc[t] = "out")
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go Note
  hd_device_lease: Lease
  hd_device_return: Return
  hd_device_queue_submit queue_lock: Lock
  hd_queue_enqueue append: Leave
  queue_unlock: Unlock
  a mutant: NoteLate
  hd_device_queue_wait wait_for: Reach Lost
  serve await_turn: Serve Take BeginLaunch Skip Finish
  the device: Lose
  the end: AllDone

properties: the promise, and what asserts it in the code
  OneInside: SAFE explorer:race
  PointsOneByOne: SAFE SAFE.device-queue
  PointsAreOnes: SAFE SAFE.own-point
  WaitsAreKept: SAFE none: no launch of the library waits for another queue's point yet
  LostMeansUntouched: STATUS STATUS.lost explorer:race
  OkMeansComputed: STATUS SAFE.own-point
  MemoryIsOneRuns: REUSE explorer:race
  EveryRunEnds: BOUND BOUND.reached
