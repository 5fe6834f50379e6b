----------------------------- MODULE EventTrace -----------------------------
(* Whether what the C code did is a behaviour of Event. Traces are runs of the explorer's scenarios `event.`, as        *)
(* verify/tla/traces/event.py tells them: the event's lock, each change of a mark's or the device's count of references *)
(* with both values, points given out and reached, streams that are resumed, and what waits answered. When a runner     *)
(* takes its next work and looks at it, and when a wait finds its point, TLC chooses. A trace is accepted when some     *)
(* behaviour has all of its events.                                                                                     *)
EXTENDS Event, EventTraces

VARIABLES trace, next,
    inside, \* who has the event's lock, in the C code
    answer  \* of each caller: what its last wait found
all == <<vars, trace, next, inside, answer>>

Events == Traces[trace].events
TraceInit == trace \in 1..Len(Traces) /\ next = 1 /\ inside = "nobody" /\ answer = [c \in Callers |-> "ok"] /\ Init
Still == UNCHANGED vars
Users(a, b) == device = a /\ device' = b
Marks(item, a, b) == refs[item] = a /\ refs'[item] = b
\* A stream whose barrier looked for the point itself may be resumed, too: behind the point, and in vain.
InVain(s, other) == \E b \in Items : target[b] # None /\ stream[b] = other /\ stream[target[b]] = s /\ Reached(target[b])

Event(e) ==
    LET p == e[1] op == e[2] a == e[3] b == e[4] item == e[5] IN
    \/ op = "lock" /\ inside = "nobody" /\ inside' = p /\ Still
    \/ /\ op = "unlock" /\ inside = p /\ inside' = "nobody"
       /\ IF a = "record" THEN SetLast(p)
          ELSE IF pc[p] = "out" THEN last = None /\ TakeLast(p, a)
          ELSE Still
    \/ /\ UNCHANGED inside
       /\ CASE op = "record" -> Record(p) /\ Users(a, b) /\ stream'[mine'[p]] = item
            [] op = "barrier" -> MakeBarrier(p) /\ Users(a, b) /\ stream'[mine[p]] = item
            [] op = "submit" -> Submit(p) /\ point'[mine[p]] = a
            [] op = "take" -> /\ inside = p /\ last = item
                              /\ TakeLast(p, "wait") \/ TakeLast(p, "barrier")
                              /\ Marks(item, a, b)
            [] op = "release" -> /\ IF p \in Callers THEN got[p] = item /\ CallerReleases(p)
                                    ELSE IF p \in Streams THEN RunnerReleases(p) ELSE Destroy
                                 /\ Marks(item, a, b)
            [] op = "drop" -> /\ Users(a, b)
                              /\ IF p \in Callers THEN CallerDrops(p)
                                 ELSE IF p \in Streams THEN RunnerDrops(p) ELSE OwnerDrops(p)
            [] op = "complete" -> Signal(p) /\ completed'[p] = a
            [] op = "resumes" -> \/ Tell(p) /\ run[a] = "parked" /\ run'[a] = "begin"
                                 \/ InVain(p, a) /\ Still
            [] op = "answers" -> answer[p] = a /\ Still
            [] OTHER -> FALSE
\* Whether the wait of a caller, or another call, is what took the mark, its next event tells.
Silent ==
    /\ UNCHANGED <<trace, next, inside>>
    /\ \/ \E s \in Streams : (Take(s) \/ RunMark(s) \/ RunBarrier(s)) /\ UNCHANGED answer
       \/ \E c \in Callers : \/ Find(c) /\ answer' = [answer EXCEPT ![c] = "ok"]
                             \/ Expire(c) /\ answer' = [answer EXCEPT ![c] = "not yet"]
                             \/ Events[next][1] = "event owner" /\ Stop(c) /\ UNCHANGED answer
Follow ==
    /\ Event(Events[next]) /\ next' = next + 1 /\ UNCHANGED <<trace, answer>>
    /\ (next' > Len(Events) => PrintT(<<"accepted", trace>>))
TraceSpec == TraceInit /\ [][next <= Len(Events) /\ (Follow \/ Silent)]_all
=============================================================================
