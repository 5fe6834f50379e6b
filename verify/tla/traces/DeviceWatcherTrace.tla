------------------------- MODULE DeviceWatcherTrace ------------------------
(* Whether what the C code did is a behaviour of DeviceWatcher. Traces are runs of the explorer's scenarios `watcher.`, *)
(* as verify/tla/traces/device_watcher.py tells them: critical sections of src/runtime/device_watcher.c, what flights    *)
(* do when they land and finish, the lane's bit, the stream's timeline, and what the scenario's device does. An action   *)
(* under the lock is done by the time that it is let go. A trace is accepted when some behaviour has all of its events.  *)
EXTENDS DeviceWatcher, DeviceWatcherTraces

VARIABLES trace, next,
    inside \* who has the lock, in the C code
all == <<vars, trace, next, inside>>

S == "s1"
W == "watcher"
Nobody == "nobody"
Events == Traces[trace].events
TraceInit == trace \in 1..Len(Traces) /\ next = 1 /\ inside = Nobody /\ Init
Still == UNCHANGED vars
OfRunner == \* what the runner does under the lock
    \/ HandOver(S) \/ Count(S)
    \/ pc[S] \in {"enter", "work", "alone", "out"} /\ Still \* it asked what is written, or waited
OfWatcher(number) ==
    IF number > 0 THEN Take(S) /\ flight'.number = number
    ELSE (wpc = "count" /\ CountTaken) \/ (wpc # "count" /\ Still)

Event(e) ==
    LET t == e[1] op == e[2] a == e[3] b == e[4] IN
    \/ /\ op = "lock" /\ inside = Nobody /\ inside' = t
       /\ IF t = W /\ wpc = "close" THEN Close ELSE IF t = W /\ wpc = "asleep" THEN FALSE ELSE Still
    \/ /\ op = "unlock" /\ inside = t /\ inside' = Nobody
       /\ CASE t = W -> OfWatcher(a)
            [] t # W /\ b # "" -> Begin(S) /\ kind'[S][Len(kind'[S])] = b
            [] OTHER -> OfRunner
    \/ /\ op = "sleep" /\ inside = t /\ inside' = Nobody /\ IF t = W /\ listed[S] = <<>> THEN Sleep ELSE Still
    \/ /\ UNCHANGED inside
       /\ CASE op = "lane" ->
                 IF a = 1 THEN Enter(S)
                 ELSE inside = t /\ Still \* a part of what is done when the lock is let go
            [] op = "launch" -> Work(S) /\ point'[Now(S)] = a
            [] op = "work" -> Work(S)
            [] op = "use" -> Use(S)
            [] op = "land" -> IF t = W THEN flight.number = a /\ result[<<S, a>>] = b /\ LandTaken
                              ELSE b = "ok" /\ Len(kind[S]) = a /\ pc[S] = "land" /\ Still
            [] op = "told" -> IF t = W THEN Signal /\ Len(told'[S]) = a ELSE Land(S) /\ Len(told'[S]) = a
            [] op = "finish" -> IF t = W THEN flight.number = a /\ FinishTaken ELSE Len(kind[S]) = a /\ Finish(S)
            [] op = "drained" -> Drain
            [] op = "look" -> reached[1] = a /\ Still
            [] op = "asked" -> IF a = 1 /\ b < point[<<S, Head(listed[S])>>] /\ ~isLost[S] THEN Ask(S) ELSE Still
            [] op = "begin" -> Serve(1) /\ reached[1] + 1 = a
            [] op = "reach" -> Reach(1) /\ reached'[1] = a
            [] op = "lose" -> Lose
            [] OTHER -> FALSE

Follow ==
    /\ next <= Len(Events) /\ Event(Events[next]) /\ next' = next + 1 /\ UNCHANGED trace
    /\ (next' > Len(Events) => PrintT(<<"accepted", trace>>))
TraceSpec == TraceInit /\ [][Follow]_all
=============================================================================
