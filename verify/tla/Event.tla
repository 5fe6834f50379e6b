-------------------------------- MODULE Event --------------------------------
(* Models src/runtime/event.c: hd_event_record, hd_event_wait_on_stream (with run_barrier and        *)
(* resume_barrier), hd_event_wait, hd_event_elapsed, hd_event_destroy, take_last, release_mark, and  *)
(* run_mark on the streams' runners.                                                                 *)
(* Promises: REUSE (no mark, barrier or device is touched after it was freed; each is freed once),   *)
(* SAFE (whoever waits has the point that the event marked when he asked; who finds it reached knows *)
(* its time), BOUND (every wait and every stream that waits goes on).                                *)
(*                                                                                                   *)
(* Grain: one action is one atomic operation on a count of references, one critical section of the   *)
(* event's lock, or one operation on a timeline or a queue, which Timeline and Queues show to be     *)
(* atomic. A device is retained together with the step before it: the event still keeps it then.     *)
(* Abstracted: each stream has a queue of its own with a runner; the submission may be refused at    *)
(* any time; time limits may pass at any moment or never; a time is a bit: noted or not.             *)
EXTENDS Naturals, Sequences, TLC

CONSTANTS Callers, Streams,
    Calls, \* of all callers together
    Mutant

Items == 1..Calls \* what a call submits: a mark or a barrier
None == 0
Owners == {"event owner", "device owner"}

VARIABLES
    device,            \* references; 0: freed
    event, last,       \* whether the handle lives; the last mark, under the lock
    refs, frees,       \* of each item
    stream, point,     \* of each item
    time,              \* of each mark: whether reached_at is written
    target,            \* of each barrier: its mark
    wanted,            \* of each barrier and waiter's call: the mark that it asked for; a ghost
    queue, completed,  \* of each stream
    watches,           \* of each stream: barriers that wait for a point of it
    cur, taken, run,   \* of each runner: its work, the watches that it still has to tell, where it is
    wrong,             \* what went wrong so far; a ghost
    begun,             \* calls so far
    mine, got, pc      \* of each caller: its call, the mark in hand

itemVars == <<refs, frees, stream, point, time, target, wanted>>
lineVars == <<queue, completed, watches>>
runVars == <<cur, taken, run>>
vars == <<device, event, last, itemVars, lineVars, runVars, wrong, begun, mine, got, pc>>
ownVars == <<begun, mine>>

Go(t, where) == pc' = [pc EXCEPT ![t] = where]
RunTo(s, where) == run' = [run EXCEPT ![s] = where]
Set(f, x, value) == [f EXCEPT ![x] = value]
Broken(items, withDevice) == \* the step touches these
    IF (\E i \in items : frees[i] > 0) \/ (withDevice /\ device = 0) THEN {"touched"} ELSE {}
BrokenEvent == IF event THEN {} ELSE {"touched"}
Note(what) == wrong' = wrong \cup what
Reached(m) == completed[stream[m]] >= point[m]
Kept == Mutant # "device_not_kept" \* whether a mark keeps the device

Init ==
    /\ device = 2 /\ event = TRUE /\ last = None \* its owner's and the event's
    /\ refs = [i \in Items |-> 0] /\ frees = [i \in Items |-> 0]
    /\ stream = [i \in Items |-> None] /\ point = [i \in Items |-> 0]
    /\ time = [i \in Items |-> FALSE]
    /\ target = [i \in Items |-> None] /\ wanted = [i \in Items |-> None]
    /\ queue = [s \in Streams |-> <<>>] /\ completed = [s \in Streams |-> 0]
    /\ watches = [s \in Streams |-> {}]
    /\ cur = [s \in Streams |-> None] /\ taken = [s \in Streams |-> {}] /\ run = [s \in Streams |-> "idle"]
    /\ wrong = {} /\ begun = 0 /\ mine = [c \in Callers |-> None] /\ got = [c \in Callers |-> None]
    /\ pc = [t \in Callers \cup Owners |-> "out"]

\* ---- all calls
\* A work that has signalled its point is in hand still, but not in flight.
Submitted(s) == completed[s] + Len(queue[s]) + (IF run[s] \in {"begin", "time", "signal", "parked"} THEN 1 ELSE 0)

Begin(c, what) ==
    /\ pc[c] = "out" /\ begun < Calls /\ begun' = begun + 1 /\ mine' = [mine EXCEPT ![c] = begun + 1]
    /\ Go(c, what) /\ Note(BrokenEvent)
    /\ UNCHANGED <<event, last, frees, time, target, lineVars, runVars>>

\* ---- hd_event_record
Record(c) == \* a mark: the event's and the stream's references, and the device's
    /\ Begin(c, IF Mutant = "set_before_submit" THEN "set" ELSE "submit")
    /\ refs' = Set(refs, begun + 1, IF Mutant = "one_reference" THEN 1 ELSE 2)
    /\ \E s \in Streams : stream' = Set(stream, begun + 1, s)
    /\ device' = IF Kept THEN device + 1 ELSE device
    /\ UNCHANGED <<point, wanted, got>>

Submit(c) ==
    LET i == mine[c]
        s == stream[i]
    IN  /\ pc[c] \in {"submit", "submit_late"} /\ Note(Broken({i}, TRUE))
        /\ point' = Set(point, i, Submitted(s) + 1) /\ queue' = Set(queue, s, Append(queue[s], i))
        /\ Go(c, IF target[i] # None \/ pc[c] = "submit_late" THEN "out" ELSE "set")
        /\ got' = IF target[i] # None THEN Set(got, c, None) ELSE got
        /\ UNCHANGED <<device, event, last, refs, frees, stream, time, target, wanted, completed, watches,
                       runVars, ownVars>>

Refused(c) == \* everything goes back
    LET i == mine[c]
    IN  /\ pc[c] = "submit" /\ Note(Broken({i}, TRUE)) /\ frees' = Set(frees, i, frees[i] + 1)
        /\ device' = IF target[i] # None \/ Kept THEN device - 1 ELSE device
        /\ Go(c, IF target[i] # None THEN "release" ELSE "out")
        /\ UNCHANGED <<event, last, refs, stream, point, time, target, wanted, lineVars, runVars, ownVars, got>>

SetLast(c) == \* under the event's lock
    LET i == mine[c]
        after == IF Mutant = "set_before_submit" THEN "submit_late"
                 ELSE IF last = None THEN "out" ELSE "release"
    IN  /\ pc[c] = "set" /\ Mutant # "last_unlocked" /\ Note(BrokenEvent)
        /\ last' = i /\ got' = [got EXCEPT ![c] = last] /\ Go(c, after)
        /\ UNCHANGED <<device, event, itemVars, lineVars, runVars, ownVars>>

SetUnlocked(c) == \* mutant: read, then written
    /\ Mutant = "last_unlocked" /\ Note(BrokenEvent)
    /\ \/ /\ pc[c] = "set" /\ got' = [got EXCEPT ![c] = last] /\ Go(c, "set_now") /\ UNCHANGED last
       \/ /\ pc[c] = "set_now" /\ last' = mine[c] /\ UNCHANGED got
          /\ Go(c, IF got[c] = None THEN "out" ELSE "release")
    /\ UNCHANGED <<device, event, itemVars, lineVars, runVars, ownVars>>

\* ---- take_last, the beginning of the other calls; it ends the call where nothing was recorded
TakeLast(c, what) ==
    LET late == Mutant = "retained_late"
    IN  /\ Begin(c, IF last = None THEN "out" ELSE IF late THEN "retain_" \o what ELSE what)
        /\ got' = [got EXCEPT ![c] = last] /\ wanted' = Set(wanted, begun + 1, last)
        /\ refs' = IF last = None \/ late THEN refs ELSE Set(refs, last, refs[last] + 1)
        /\ UNCHANGED <<device, stream, point>>

RetainLate(c, what) == \* mutant: the reference is taken after the lock was dropped
    /\ pc[c] = "retain_" \o what /\ Go(c, what) /\ Note(Broken({got[c]}, FALSE))
    /\ refs' = Set(refs, got[c], refs[got[c]] + 1)
    /\ UNCHANGED <<device, event, last, frees, stream, point, time, target, wanted, lineVars, runVars, ownVars,
                   got>>

\* ---- hd_event_wait_on_stream
MakeBarrier(c) ==
    /\ pc[c] = "barrier" /\ target' = Set(target, mine[c], got[c])
    /\ \E s \in Streams : stream' = Set(stream, mine[c], s)
    /\ device' = device + 1 /\ Go(c, "submit") /\ Note(Broken({}, TRUE))
    /\ UNCHANGED <<event, last, refs, frees, point, time, wanted, lineVars, runVars, ownVars, got>>

\* ---- hd_event_wait, hd_event_elapsed: the point is reached, or not; whoever finds it reads the time
Find(c) ==
    /\ pc[c] = "wait" /\ Reached(got[c]) /\ Go(c, "release")
    /\ Note(Broken({got[c]}, TRUE) \cup (IF time[got[c]] THEN {} ELSE {"no time"}))
    /\ UNCHANGED <<device, event, last, itemVars, lineVars, runVars, ownVars, got>>

Expire(c) ==
    /\ pc[c] = "wait" /\ ~Reached(got[c]) /\ Go(c, "release") /\ Note(Broken({got[c]}, TRUE))
    /\ UNCHANGED <<device, event, last, itemVars, lineVars, runVars, ownVars, got>>

\* ---- release_mark, by callers and the event's owner: the last one frees it, then drops the device
Release(t, m, then) ==
    /\ refs' = Set(refs, m, refs[m] - 1)
    /\ IF refs[m] = 1 THEN /\ frees' = Set(frees, m, frees[m] + 1) /\ Go(t, IF Kept THEN "drop" ELSE then)
       ELSE UNCHANGED frees /\ Go(t, then)

CallerReleases(c) ==
    /\ pc[c] = "release" /\ Note(Broken({got[c]}, FALSE)) /\ Release(c, got[c], "out")
    /\ got' = [got EXCEPT ![c] = None]
    /\ UNCHANGED <<device, event, last, stream, point, time, target, wanted, lineVars, runVars, ownVars>>

CallerDrops(c) ==
    /\ pc[c] = "drop" /\ c \in Callers /\ device' = device - 1 /\ Go(c, "out") /\ Note(Broken({}, TRUE))
    /\ UNCHANGED <<event, last, itemVars, lineVars, runVars, ownVars, got>>

Stop(c) ==
    /\ pc[c] = "out" /\ Go(c, "end")
    /\ UNCHANGED <<device, event, last, itemVars, lineVars, runVars, wrong, ownVars, got>>

\* ---- hd_event_destroy, by the last user of the handle; hd_device_destroy at any time
Destroy ==
    /\ pc["event owner"] = "out" /\ \A c \in Callers : pc[c] = "end"
    /\ IF last = None THEN Go("event owner", "drop_event") /\ UNCHANGED <<refs, frees, wrong>>
       ELSE Note(Broken({last}, FALSE)) /\ Release("event owner", last, "drop_event")
    /\ event' = FALSE
    /\ UNCHANGED <<device, last, stream, point, time, target, wanted, lineVars, runVars, ownVars, got>>

OwnerDrops(o) ==
    /\ pc[o] \in {"drop", "drop_event"} \/ (o = "device owner" /\ pc[o] = "out")
    /\ device' = device - 1 /\ Note(Broken({}, TRUE)) /\ Go(o, IF pc[o] = "drop" THEN "drop_event" ELSE "end")
    /\ UNCHANGED <<event, last, itemVars, lineVars, runVars, ownVars, got>>

\* ---- the runners
Take(s) ==
    /\ run[s] = "idle" /\ queue[s] # <<>>
    /\ cur' = [cur EXCEPT ![s] = Head(queue[s])] /\ queue' = [queue EXCEPT ![s] = Tail(@)] /\ RunTo(s, "begin")
    /\ UNCHANGED <<device, event, last, itemVars, completed, watches, taken, wrong, ownVars, got, pc>>

RunMark(s) ==
    /\ run[s] = "begin" /\ target[cur[s]] = None /\ Note(Broken({cur[s]}, TRUE)) /\ RunTo(s, "signal")
    /\ time' = IF Mutant = "time_late" THEN time ELSE Set(time, cur[s], TRUE)
    /\ UNCHANGED <<device, event, last, refs, frees, stream, point, target, wanted, lineVars, cur, taken, ownVars,
                   got, pc>>

RunBarrier(s) == \* looks, or registers its watch: hd_timeline_set_watch looks once more
    LET b == cur[s]
        m == IF Mutant = "mark_read_late" THEN last ELSE target[b]
    IN  /\ run[s] = "begin" /\ target[b] # None /\ Note(Broken({b, m}, TRUE))
        /\ IF Reached(m) THEN RunTo(s, "signal") /\ UNCHANGED watches
           ELSE RunTo(s, "parked") /\ watches' = [watches EXCEPT ![stream[m]] = @ \cup {b}]
        /\ UNCHANGED <<device, event, last, itemVars, queue, completed, cur, taken, ownVars, got, pc>>

Due(s) == {b \in watches[s] : LET m == IF Mutant = "mark_read_late" THEN last ELSE target[b]
                               IN  point[m] <= completed[s] + 1}
Signal(s) == \* hd_stream_complete
    LET i == cur[s]
        early == target[i] # None /\ ~Reached(wanted[i])
    IN  /\ run[s] = "signal" /\ completed' = [completed EXCEPT ![s] = @ + 1]
        /\ Note(Broken({i}, TRUE) \cup (IF early THEN {"early"} ELSE {}))
        /\ taken' = [taken EXCEPT ![s] = Due(s)] /\ watches' = [watches EXCEPT ![s] = @ \ Due(s)]
        /\ RunTo(s, "tell")
        /\ UNCHANGED <<device, event, last, itemVars, queue, cur, ownVars, got, pc>>

Tell(s) == \* resume_barrier: behind it the barrier may be freed
    /\ run[s] = "tell" /\ taken[s] # {}
    /\ \E b \in taken[s] :
        /\ taken' = [taken EXCEPT ![s] = @ \ {b}] /\ Note(Broken({b}, TRUE))
        /\ run' = IF Mutant = "resume_dropped" THEN run ELSE [run EXCEPT ![stream[b]] = "begin"]
    /\ UNCHANGED <<device, event, last, itemVars, lineVars, cur, ownVars, got, pc>>

TimeLate(s) == \* mutant: noted after the point is reached
    /\ Mutant = "time_late" /\ run[s] = "tell" /\ taken[s] = {}
    /\ time' = Set(time, cur[s], TRUE) /\ RunTo(s, "drop")
    /\ UNCHANGED <<device, event, last, refs, frees, stream, point, target, wanted, lineVars, cur, taken, wrong,
                   ownVars, got, pc>>

RunnerReleases(s) ==
    LET i == cur[s]
        m == IF target[i] = None THEN i ELSE target[i]
        then == IF target[i] = None THEN "idle" ELSE "drop_barrier"
        left == IF Mutant = "mark_kept" /\ target[i] # None THEN refs[m] ELSE refs[m] - 1
    IN  /\ run[s] = (IF Mutant = "time_late" THEN "drop" ELSE "tell") /\ taken[s] = {}
        /\ Note(Broken({m, i}, FALSE)) /\ refs' = Set(refs, m, left)
        /\ frees' = IF left = 0 THEN Set(frees, m, frees[m] + 1) ELSE frees
        /\ RunTo(s, IF left = 0 /\ Kept THEN "drop_mark" ELSE then)
        /\ cur' = IF run'[s] = "idle" THEN Set(cur, s, None) ELSE cur
        /\ UNCHANGED <<device, event, last, stream, point, time, target, wanted, lineVars, taken, ownVars, got, pc>>

RunnerDrops(s) == \* the device's reference of the mark that was freed, then the barrier's own
    LET i == cur[s]
        own == run[s] = "drop_barrier"
        more == ~own /\ target[i] # None
    IN  /\ run[s] \in {"drop_mark", "drop_barrier"} /\ device' = device - 1
        /\ Note(Broken(IF own THEN {i} ELSE {}, TRUE))
        /\ frees' = IF own THEN Set(frees, i, frees[i] + 1) ELSE frees
        /\ RunTo(s, IF more THEN "drop_barrier" ELSE "idle")
        /\ cur' = IF more THEN cur ELSE Set(cur, s, None)
        /\ UNCHANGED <<event, last, refs, stream, point, time, target, wanted, lineVars, taken, ownVars, got, pc>>

Ends(c) == \* what ends a call that was begun
    Submit(c) \/ Refused(c) \/ SetLast(c) \/ SetUnlocked(c) \/ RetainLate(c, "wait") \/ RetainLate(c, "barrier")
    \/ MakeBarrier(c) \/ Find(c) \/ CallerReleases(c) \/ CallerDrops(c)
Calling(c) == Record(c) \/ TakeLast(c, "wait") \/ TakeLast(c, "barrier") \/ Expire(c)
Runs(s) == Take(s) \/ RunMark(s) \/ RunBarrier(s) \/ Signal(s) \/ Tell(s) \/ TimeLate(s) \/ RunnerReleases(s)
           \/ RunnerDrops(s)
AllEnded ==
    /\ \A t \in Callers \cup Owners : pc[t] = "end"
    /\ \A s \in Streams : run[s] = "idle" /\ queue[s] = <<>>
Next ==
    \/ \E c \in Callers : Ends(c) \/ Calling(c) \/ Stop(c)
    \/ Destroy \/ \E o \in Owners : OwnerDrops(o)
    \/ \E s \in Streams : Runs(s)
    \/ AllEnded /\ UNCHANGED vars
Spec ==
    /\ Init /\ [][Next]_vars
    \* All that is asked of the scheduler: while anything can go on, something does.
    /\ WF_vars((\E c \in Callers : Ends(c) \/ Stop(c)) \/ Destroy \/ (\E o \in Owners : OwnerDrops(o))
               \/ (\E s \in Streams : Runs(s)))

\* ---- what must hold
NeverTouchedAfterFree == "touched" \notin wrong
FreedAtMostOnce == \A i \in Items : frees[i] <= 1
WaitsForItsMark == "early" \notin wrong \* and not for an earlier or a later one
TimeIsKnown == "no time" \notin wrong
NothingLeaks == AllEnded =>
    /\ device = 0
    /\ \A i \in Items : point[i] # 0 => frees[i] = 1
\* Time limits need not pass, so each wait ends because its point is reached, and each parked stream goes on.
EverythingEnds == <>AllEnded
Alike == Permutations(Callers) \cup Permutations(Streams)
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go RunTo Note Release
  hd_event_record: Begin Record SetLast
  hd_stream_try_submit: Submit Refused
  a mutant: SetUnlocked RetainLate TimeLate
  take_last: TakeLast
  hd_event_wait_on_stream: MakeBarrier
  hd_event_wait hd_event_elapsed: Find Expire
  release_mark: CallerReleases CallerDrops RunnerReleases
  the caller: Stop
  hd_event_destroy: Destroy OwnerDrops
  run_queue: Take
  run_mark land_mark: RunMark
  run_barrier: RunBarrier
  hd_stream_complete hd_timeline_signal: Signal
  resume_barrier: Tell
  finish_barrier finish_mark: RunnerDrops

properties: the promise, and what asserts it in the code
  NeverTouchedAfterFree: REUSE REUSE.device-ended explorer:freed
  FreedAtMostOnce: ONCE explorer:freed
  WaitsForItsMark: SAFE SAFE.barrier explorer:race
  TimeIsKnown: SAFE SAFE.elapsed
  NothingLeaks: ONCE explorer:leak
  EverythingEnds: BOUND BOUND.event explorer:deadlock
