---------------------------- MODULE FutureTrace ----------------------------
(* Whether what the C code did is a behaviour of Future. Traces are runs of the explorer's scenarios `future.`, as       *)
(* verify/tla/traces/future.py tells them: one operation of src/runtime/future.c each, on its word, its   *)
(* references, its lock and its condition, with the values that it read and wrote, and what the calls answered. Looks   *)
(* that change nothing have no action in the spec; where nobody waits, or there is no callback, nothing tells of it. A   *)
(* trace is accepted when some behaviour has all of its events.                                                         *)
EXTENDS Future, FutureTraces, Sequences, TLC

VARIABLES trace, next,
    inside, \* who has the lock, in the C code
    late    \* waiters whose time ran out while they slept
all == <<vars, callsBack, trace, next, inside, late>>

Events == Traces[trace].events
TraceInit ==
    /\ trace \in 1..Len(Traces) /\ next = 1 /\ inside = "nobody" /\ late = {}
    /\ InitWith(Traces[trace].calls, Traces[trace].absent)
Still == UNCHANGED vars
\* HELD stays set behind the end, and says nothing then.
IsWord(w) == outcome = w[1] /\ final = w[3] /\ waitedFor = w[4] /\ (final \/ held = w[2])
Becomes(w) == outcome' = w[1] /\ final' = w[3] /\ waitedFor' = w[4] /\ (final' \/ held' = w[2])

Holding == Hold("begin", "held") \/ Hold("again", "held again")
LookAt(p, call) ==
    CASE p \in Cancellers /\ pc[p] = "begin" -> Look(p)
      [] p \in Cancellers /\ pc[p] = "swap" /\ outcome # "pending" -> Swap(p)
      [] p \in Waiters /\ pc[p] = "begin" -> LookFinal(p)
      [] p \in Waiters /\ pc[p] = "look" -> LookAgain(p)
      [] call = "hold" /\ pc[p] \in {"begin", "again"} /\ outcome # "pending" -> Holding
      [] call = "commit" /\ pc[p] \in {"held", "held again"} /\ outcome # "pending" -> Commit
      [] call = "finish" /\ pc[p] \in {"held", "held again"} /\ outcome # "pending" -> Commit
      [] call = "finish" /\ pc[p] = "begin" /\ outcome # "pending" -> Holding \* ended without having been begun
      [] OTHER -> Still
\* A waiter's first wait is until the deadline, where that comes first: it comes back, looks at the clock, and waits anew.
\* What has no action in the spec, whose waiters have no limits, gives up in the same places as those that go on.
Elsewhere == UNCHANGED <<word, published, asleep, life, saw, told, misused>>
GiveUp(p) == pc[p] = "sleep" /\ p \in late /\ late' = late \ {p} /\ lock' = "free" /\ Go(p, "mark") /\ Elsewhere
Ends(p) == pc[p] = "mark" /\ Go(p, "done") /\ UNCHANGED lock /\ Elsewhere
\* The request may be who finds the deadline passed; it has a reference of its own.
Detach ==
    /\ pc["handle"] = "begin" /\ \A p \in Cancellers \cup Waiters : pc[p] = "done"
    /\ Go("handle", "done") /\ Release /\ Touch
    /\ UNCHANGED <<word, published, lock, asleep, posted, called, saw, told>>

SwapOf(p) ==
    IF p \in Deciders THEN Swap(p)
    ELSE IF p \in Waiters THEN Mark(p) /\ inside = p
    ELSE IF pc[p] = "release" /\ final THEN Still \* it was final when it let go: its end finds nothing to do
    ELSE Holding \/ LetGo \/ Commit \/ Finish

Event(e) ==
    LET p == e[1] op == e[2] a == e[3] b == e[4] IN
    \/ /\ op = "lock" /\ inside = "nobody" /\ inside' = p /\ UNCHANGED late
       /\ IF p \in Waiters /\ pc[p] = "asleep" THEN Wake(p) ELSE Still
    \/ /\ op = "unlock" /\ inside = p /\ inside' = "nobody"
       /\ IF p \in Waiters THEN (Leave(p) /\ late' = late \ {p}) \/ GiveUp(p) ELSE Still /\ UNCHANGED late
    \/ op = "sleep" /\ inside = p /\ inside' = "nobody" /\ Sleep(p) /\ late' = late \ {p}
    \/ /\ op = "late" /\ p \in asleep /\ asleep' = asleep \ {p} /\ late' = late \cup {p}
       /\ UNCHANGED <<word, published, lock, life, pc, saw, told, misused, inside>>
    \/ /\ UNCHANGED <<inside, late>>
       /\ CASE op = "look" -> IsWord(a) /\ LookAt(p, b)
            [] op = "swap" -> IsWord(a) /\ SwapOf(p) /\ Becomes(b)
            [] op = "broadcast" -> inside = p /\ saw[p] /\ WakeAll(p)
            [] op = "post" -> callsBack /\ Post(p)
            [] op = "release" -> /\ references = a /\ references' = b
                                 /\ IF p = "work" THEN GiveBack ELSE IF p = "caller" THEN CallReturns ELSE Detach
            [] op = "publish" -> Publish
            [] op = "called" -> outcome = a /\ Call
            [] op = "stir" -> p \in asleep /\ asleep' = asleep \ {p} /\ UNCHANGED <<word, published, lock, life, pc, saw, told, misused>>
            [] op = "says" -> told[p] = a /\ Still
            [] op = "final" /\ a = "not yet" -> Ends(p)
            [] op = "final" -> final /\ outcome = a /\ IF pc[p] = "done" THEN Still ELSE Ends(p)
            [] op = "held" -> pc[p] \in {"held", "held again"} /\ Still
            [] op = "refused" -> pc[p] \in {"finish", "release"} /\ Still
            [] OTHER -> FALSE

Quiet(p) == (pc[p] = "wake" /\ ~saw[p]) \/ (pc[p] = "post" /\ ~callsBack)
Tellers == Deciders \cup {"work"}
Silent ==
    /\ UNCHANGED <<trace, next, inside, late>>
    /\ \/ \E p \in Tellers : Quiet(p) /\ (WakeAll(p) \/ Post(p))
       \/ Events[next][1] = Deadline /\ Events[next][2] = "swap" /\ outcome = "pending" /\ Look(Deadline)
Follow ==
    /\ ~(\E p \in Tellers : Quiet(p)) /\ Event(Events[next]) /\ next' = next + 1 /\ UNCHANGED trace
    /\ (next' > Len(Events) => PrintT(<<"accepted", trace>>))
TraceSpec == TraceInit /\ [][next <= Len(Events) /\ UNCHANGED callsBack /\ (Follow \/ Silent)]_all
=============================================================================
