---------------------------- MODULE DeviceWatcher ---------------------------
(* Models src/runtime/device_watcher.c: a stream's runner (hd_device_watcher_begin, _await, _end with *)
(* hand_over, end_flight), the thread (watch, take_landing, ask_device), hd_device_watcher_drain; the *)
(* bit of hd_reclaim_enter and _leave by which a lane is its flights'; what a backend owes            *)
(* (DeviceQueue): points in order, HD_LOST only when nothing is computed any more.                    *)
(* Promises: ONCE (each flight lands and finishes once, in its stream's order, and a drain has seen   *)
(* all of them), REUSE (a lane is its flights' while the device works in it, and a runner's alone     *)
(* where it waits for that; nothing is final before the device is done), STATUS (HD_OK only for what  *)
(* was computed), BOUND (every flight ends, after a loss too).                                        *)
(*                                                                                                    *)
(* Grain: one action is what happens under one lock, or between two of them.                          *)
(* Abstracted: work is a run (it has a point), a mark (it has none) or one that needs the lane alone. *)
(* The thread's short sleeps are none: it looks again at any moment while something is listed. How    *)
(* who waits for the lane or the drain is woken: it goes on whenever its answer is there.             *)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS Streams,
    QueueCount, \* the streams share the hardware queues in turn
    Works,      \* of a stream
    Mutant

Numbers == 1..Works
Queues == 1..QueueCount
Nothing == [stream |-> "none", number |-> 0]
\* Streams are model values: any fixed way to share the queues will do.
QueueOf == CHOOSE f \in [Streams -> Queues] : \A q \in Queues : \E s \in Streams : f[s] = q

VARIABLES
    kind,      \* of each stream: the kinds of its works begun so far
    point,     \* <<stream, number>>: the point of its queue, 0: none
    result,    \* <<stream, number>>: what its runner knows of it: "ok", or "lost" where it was refused
    begun, listed, \* of each stream: hd_flight_line.begun; the numbers handed over
    isLost, open, drained,
    bit,       \* of each stream: the lane is its flights'
    landed,    \* of each stream: the numbers landed, in order
    told,      \* of each stream: the points of its timeline signalled, in order
    finished,  \* <<stream, number>>
    pc,        \* of each stream's runner
    wpc, flight, \* the thread, and the flight that it has
    kept, reached, serving, computed, lost \* the device: the launches of each queue, <<stream, number>>

vars == <<kind, point, result, begun, listed, isLost, open, drained, bit, landed, told, finished, pc, wpc,
          flight, kept, reached, serving, computed, lost>>
device == <<kept, reached, serving, computed, lost>>
thread == <<wpc, flight, isLost>>
Go(s, where) == pc' = [pc EXCEPT ![s] = where]
Now(s) == <<s, Len(kind[s])>>
All == Streams \X Numbers

Init ==
    /\ kind = [s \in Streams |-> <<>>] /\ point = [w \in All |-> 0] /\ result = [w \in All |-> "ok"]
    /\ begun = [s \in Streams |-> 0] /\ listed = [s \in Streams |-> <<>>]
    /\ isLost = [s \in Streams |-> FALSE] /\ open = 0 /\ drained = FALSE
    /\ bit = [s \in Streams |-> FALSE] /\ landed = [s \in Streams |-> <<>>]
    /\ told = [s \in Streams |-> <<>>] /\ finished = {} /\ pc = [s \in Streams |-> "out"]
    /\ wpc = "look" /\ flight = Nothing
    /\ kept = [q \in Queues |-> <<>>] /\ reached = [q \in Queues |-> 0]
    /\ serving = [q \in Queues |-> FALSE] /\ computed = {} /\ lost = FALSE

\* ---- a stream's runner
Begin(s) == \* under the lock
    /\ pc[s] = "out" /\ Len(kind[s]) < Works /\ begun' = [begun EXCEPT ![s] = @ + 1]
    /\ \E k \in {"run", "mark", "alone"} : kind' = [kind EXCEPT ![s] = Append(@, k)]
    /\ Go(s, IF begun[s] = 0 THEN "enter" ELSE "work")
    /\ UNCHANGED <<point, result, listed, open, drained, bit, landed, told, finished, thread, device>>

Enter(s) == \* hd_reclaim_enter
    /\ pc[s] = "enter" /\ bit' = [bit EXCEPT ![s] = TRUE] /\ Go(s, "work")
    /\ UNCHANGED <<kind, point, result, begun, listed, open, drained, landed, told, finished, thread, device>>

Work(s) == \* a launch, or the wait for the lane
    LET k == kind[s][Len(kind[s])] q == QueueOf[s] IN
    /\ pc[s] = "work"
    /\ IF k = "run" /\ ~lost THEN
            /\ kept' = [kept EXCEPT ![q] = Append(@, Now(s))] /\ point' = [point EXCEPT ![Now(s)] = Len(kept[q]) + 1]
            /\ UNCHANGED result /\ Go(s, "end")
       ELSE /\ (k = "alone" => begun[s] = 1 \/ Mutant = "no_await") /\ UNCHANGED <<kept, point>>
            /\ result' = IF k = "run" THEN [result EXCEPT ![Now(s)] = "lost"] ELSE result
            /\ Go(s, IF k = "alone" THEN "alone" ELSE "end")
    /\ UNCHANGED <<kind, begun, listed, open, drained, bit, landed, told, finished, thread, reached, serving,
                   computed, lost>>

Use(s) == \* what needs the lane alone has used it
    /\ pc[s] = "alone" /\ Go(s, "end")
    /\ UNCHANGED <<kind, point, result, begun, listed, open, drained, bit, landed, told, finished, thread, device>>

Waits(s) == point[Now(s)] # 0 \/ (begun[s] > 1 /\ Mutant # "mark_overtakes")
HandOver(s) ==
    /\ pc[s] = "end"
    /\ IF Waits(s) THEN /\ listed' = [listed EXCEPT ![s] = Append(@, Len(kind[s]))] /\ open' = open + 1
                        /\ wpc' = IF wpc = "asleep" /\ Mutant # "not_woken" THEN "look" ELSE wpc
                        /\ Go(s, "out")
       ELSE UNCHANGED <<listed, open, wpc>> /\ Go(s, "land")
    /\ UNCHANGED <<kind, point, result, begun, drained, bit, landed, told, finished, flight, isLost, device>>

Land(s) == \* flight->land by the runner itself, and the stream's point
    /\ pc[s] = "land" /\ landed' = [landed EXCEPT ![s] = Append(@, Len(kind[s]))]
    /\ told' = [told EXCEPT ![s] = Append(@, Len(kind[s]))] /\ Go(s, "count")
    /\ UNCHANGED <<kind, point, result, begun, listed, open, drained, bit, finished, thread, device>>

Leave(s) == \* the end of end_flight under the lock
    /\ begun' = [begun EXCEPT ![s] = @ - 1] /\ bit' = [bit EXCEPT ![s] = @ /\ begun[s] > 1]

Count(s) ==
    /\ pc[s] = "count" /\ Leave(s) /\ Go(s, "finish")
    /\ UNCHANGED <<kind, point, result, listed, open, drained, landed, told, finished, thread, device>>

Finish(s) ==
    /\ pc[s] = "finish" /\ finished' = finished \cup {Now(s)} /\ Go(s, "out")
    /\ UNCHANGED <<kind, point, result, begun, listed, open, drained, bit, landed, told, thread, device>>

\* ---- the thread
IsReached(s) == reached[QueueOf[s]] + (IF Mutant = "landed_early" THEN 1 ELSE 0) >= point[<<s, Head(listed[s])>>]
Take(s) ==
    /\ wpc = "look" /\ listed[s] # <<>> /\ (IsReached(s) \/ isLost[s])
    /\ flight' = [stream |-> s, number |-> Head(listed[s])] /\ listed' = [listed EXCEPT ![s] = Tail(@)]
    /\ result' = IF IsReached(s) THEN result ELSE [result EXCEPT ![<<s, Head(listed[s])>>] = "lost"]
    /\ wpc' = IF Mutant = "lane_early" THEN "count" ELSE "land"
    /\ open' = IF Mutant = "open_early" THEN open - 1 ELSE open
    /\ UNCHANGED <<kind, point, begun, isLost, drained, bit, landed, told, finished, pc, device>>

Sleep ==
    /\ wpc = "look" /\ \A s \in Streams : listed[s] = <<>> /\ wpc' = "asleep"
    /\ UNCHANGED <<kind, point, result, begun, listed, isLost, open, drained, bit, landed, told, finished, pc, flight, device>>

Ask(s) == \* ask_device: the backend says HD_LOST
    /\ wpc = "look" /\ listed[s] # <<>> /\ lost /\ ~isLost[s] /\ ~IsReached(s) /\ Mutant # "loss_not_asked"
    /\ ~serving[QueueOf[s]] \/ Mutant = "told_at_once"
    /\ isLost' = [isLost EXCEPT ![s] = TRUE]
    /\ UNCHANGED <<kind, point, result, begun, listed, open, drained, bit, landed, told, finished, pc, wpc, flight, device>>

LandTaken ==
    /\ wpc = "land" /\ landed' = [landed EXCEPT ![flight.stream] = Append(@, flight.number)]
    /\ wpc' = "signal"
    /\ UNCHANGED <<kind, point, result, begun, listed, isLost, open, drained, bit, told, finished, pc, flight, device>>

Signal == \* hd_stream_complete
    /\ wpc = "signal" /\ told' = [told EXCEPT ![flight.stream] = Append(@, flight.number)]
    /\ wpc' = IF Mutant = "lane_early" THEN "finish" ELSE "count"
    /\ UNCHANGED <<kind, point, result, begun, listed, isLost, open, drained, bit, landed, finished, pc, flight, device>>

CountTaken ==
    /\ wpc = "count" /\ Leave(flight.stream) /\ wpc' = IF Mutant = "lane_early" THEN "land" ELSE "finish"
    /\ UNCHANGED <<kind, point, result, listed, isLost, open, drained, landed, told, finished, pc, flight, device>>

FinishTaken ==
    /\ wpc = "finish" /\ finished' = finished \cup {<<flight.stream, flight.number>>} /\ wpc' = "close"
    /\ UNCHANGED <<kind, point, result, begun, listed, isLost, open, drained, bit, landed, told, pc, flight, device>>

Close ==
    /\ wpc = "close" /\ open' = (IF Mutant = "open_early" THEN open ELSE open - 1) /\ wpc' = "look"
    /\ flight' = Nothing
    /\ UNCHANGED <<kind, point, result, begun, listed, isLost, drained, bit, landed, told, finished, pc, device>>

\* ---- hd_device_shutdown: behind the runners' last work
Drain ==
    /\ ~drained /\ \A s \in Streams : pc[s] = "out" /\ Len(kind[s]) = Works
    /\ open = 0 /\ drained' = TRUE
    /\ UNCHANGED <<kind, point, result, begun, listed, open, bit, landed, told, finished, pc, thread, device>>

\* ---- the device
hosts == <<kind, point, result, begun, listed, open, drained, bit, landed, told, finished, pc, thread, kept>>
Launch(q) == kept[q][reached[q] + 1]
Serve(q) ==
    /\ ~serving[q] /\ ~lost /\ reached[q] < Len(kept[q]) /\ serving' = [serving EXCEPT ![q] = TRUE]
    /\ UNCHANGED <<hosts, reached, computed, lost>>
Reach(q) ==
    /\ serving[q] /\ serving' = [serving EXCEPT ![q] = FALSE] /\ computed' = computed \cup {Launch(q)}
    /\ reached' = IF lost THEN reached ELSE [reached EXCEPT ![q] = @ + 1]
    /\ UNCHANGED <<hosts, lost>>
Lose == ~lost /\ lost' = TRUE /\ UNCHANGED <<hosts, reached, serving, computed>>

Runner(s) == Enter(s) \/ Work(s) \/ Use(s) \/ HandOver(s) \/ Land(s) \/ Count(s) \/ Finish(s)
Watch == (\E s \in Streams : Take(s) \/ Ask(s)) \/ LandTaken \/ Signal \/ CountTaken \/ FinishTaken \/ Close
AllDone == drained /\ UNCHANGED vars
Next ==
    \/ \E s \in Streams : Begin(s) \/ Runner(s)
    \/ Watch \/ Sleep \/ Drain \/ Lose \/ AllDone
    \/ \E q \in Queues : Serve(q) \/ Reach(q)
Spec ==
    /\ Init /\ [][Next]_vars /\ WF_vars(Watch)
    /\ \A s \in Streams : WF_vars(Runner(s))
    /\ \A q \in Queues : WF_vars(Serve(q) \/ Reach(q))
Alike == Permutations(Streams)

\* ---- what must hold
InOrder == \* ONCE: a flight lands once, behind those before it; so does the timeline
    \A s \in Streams : \A order \in {landed[s], told[s]} : \A i \in DOMAIN order : order[i] = i
LaneIsTheirs == \* REUSE: who clears lanes finds it taken while the device works in it
    \A q \in Queues : serving[q] => bit[Launch(q)[1]] /\ Launch(q) \notin finished
AloneIsAlone == \* REUSE
    \A s \in Streams : pc[s] = "alone" =>
        Len(landed[s]) = Len(kind[s]) - 1 /\ \A q \in Queues : serving[q] => Launch(q)[1] # s
LaneWhileLanding == \* REUSE: a flight reads what the device has written while the lane is its
    wpc \in {"land", "signal"} => begun[flight.stream] > 0 /\ bit[flight.stream]
OkMeansComputed == \* STATUS
    \A s \in Streams : \A i \in DOMAIN landed[s] :
        point[<<s, i>>] # 0 /\ result[<<s, i>>] = "ok" => <<s, i>> \in computed
DrainedMeansFinal == \* ONCE
    drained => finished = All
AllFinish == \A w \in All : Len(kind[w[1]]) >= w[2] ~> w \in finished
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go Leave
  hd_device_watcher_begin: Begin
  hd_reclaim_enter: Enter
  hd_device_queue_submit hd_device_watcher_await: Work
  the run: Use
  hd_device_watcher_end hand_over: HandOver
  end_flight hd_stream_complete: Land Count Finish LandTaken Signal CountTaken FinishTaken
  take_landing: Take
  watch rest: Sleep Close
  ask_device: Ask
  hd_device_watcher_drain: Drain
  the device: Serve Reach Lose
  the end: AllDone

properties: the promise, and what asserts it in the code
  InOrder: ONCE ONCE.landed-in-order
  LaneIsTheirs: REUSE REUSE.lane
  AloneIsAlone: REUSE ONCE.alone
  LaneWhileLanding: REUSE REUSE.lane
  OkMeansComputed: STATUS STATUS.lost
  DrainedMeansFinal: ONCE ONCE.final ONCE.watcher-empty
  AllFinish: BOUND ONCE.all-landed BOUND.drained
