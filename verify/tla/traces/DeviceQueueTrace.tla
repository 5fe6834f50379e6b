-------------------------- MODULE DeviceQueueTrace -------------------------
(* Whether what the C code did is a behaviour of DeviceQueue. Traces are runs of the explorer's scenarios              *)
(* `device-queue.`, as verify/tla/traces/device_queue.py tells them: locks of src/runtime/device_queue.c, what the     *)
(* scenario's backend and device do, and what each call answers. A launch is one run, with a lane of its thread's own. *)
(* A trace is accepted when some behaviour has all of its events.                                                      *)
EXTENDS DeviceQueue, DeviceQueueTraces

VARIABLES trace, next
all == <<vars, trace, next>>

Events == Traces[trace].events
TraceInit == trace \in 1..Len(Traces) /\ next = 1 /\ Init
Still == UNCHANGED vars

Event(e) ==
    LET t == e[1] op == e[2] value == e[3] IN
    CASE op = "lease" -> Lease(t) /\ lane'[t] = value
      [] op = "lock" -> Lock(t)
      [] op = "leave" -> lost = (value = 1) /\ Leave(t) \* the backend's submit looks, and decides
      [] op = "published" -> pc[t] = "unlock" /\ Len(kept[1]) = value /\ Still
      [] op = "unlock" -> Unlock(t)
      [] op = "submitted" -> Still /\ IF value = 0 THEN pc[t] = "told" /\ status[t] = "lost"
                                      ELSE pc[t] = "wait" /\ Pending(t) = value
      [] op = "look" -> reached[1] = value /\ Still
      [] op = "done" -> Reach(t)
      [] op = "lost" -> Lost(t)
      [] op = "return" -> Return(t)
      [] op = "begin" -> Take(1) /\ taken'[1] = value
      [] op = "reach" -> Finish(1) /\ reached'[1] = value
      [] op = "lose" -> Lose

\* Taking a launch and beginning it is one in the scenario.
Silent == serving[1] = "taken" /\ BeginLaunch(1) /\ UNCHANGED <<trace, next>>
Follow ==
    /\ serving[1] # "taken" /\ Event(Events[next]) /\ next' = next + 1 /\ UNCHANGED trace
    /\ (next' > Len(Events) => PrintT(<<"accepted", trace>>))
TraceSpec == TraceInit /\ [][next <= Len(Events) /\ (Follow \/ Silent)]_all
=============================================================================
