------------------------- MODULE FutureStressTrace -------------------------
(* Whether what threads of the system saw of src/runtime/future.c can be a behaviour of Future. A trace is a round of    *)
(* verify/tla/traces/stress_future.c: of each thread its calls, with what each was given and answered, and which calls   *)
(* of other threads had ended before it began (of each thread how many; of calls that overlap nothing is known). Each    *)
(* wait is a waiter of the spec's; a request that fails fixes that outcome when it finishes, and one whose outcome was   *)
(* fixed before it could hold the memory goes on to its end. TLC looks for an order: a call's actions come behind those  *)
(* of all calls that had ended before it began, and it has ended once its answer is there. A trace is accepted when some *)
(* behaviour has all calls.                                                                                              *)
EXTENDS Future, FutureStressTraces, Sequences, TLC

VARIABLES trace,
    ended \* of each thread: how many of its calls
all == <<vars, callsBack, trace, ended>>

Calls == Traces[trace].calls
TraceThreads == DOMAIN Calls
TraceInit ==
    /\ trace \in 1..Len(Traces) /\ ended = [t \in DOMAIN Traces[trace].calls |-> 0] /\ InitWith(FALSE, Traces[trace].absent)

Elsewhere == UNCHANGED <<word, published, asleep, life, saw, told, misused>>
Holds ==
    \/ Hold("begin", "held") \/ Hold("again", "held again")
    \/ pc["work"] = "release" /\ UNCHANGED vars \* it was final when it let go
\* The caller's memory is written between the calls commit and finish, or is not.
Commits == Commit /\ outcome' # "failed" /\ (outcome = "pending" => outcome' = "ok")
Finishes(c) ==
    \/ pc["work"] \in {"held", "held again"} /\ Commit /\ (outcome = "pending" => c.answer = "failed" /\ outcome' = "failed")
    \/ Publish \/ Finish \/ WakeAll("work") \/ Post("work") \/ GiveBack
Waits(c) ==
    LET w == c.who IN
    \/ LookFinal(w) \/ LookAgain(w) \/ Sleep(w) \/ Wake(w) \/ Leave(w)
    \/ c.limit # "none" /\ Mark(w)
    \/ /\ c.limit = "none" /\ pc[w] = "mark" /\ Go(w, "gives up") /\ UNCHANGED lock /\ Elsewhere
    \/ /\ c.limit = "some" /\ pc[w] = "asleep" /\ lock = "free" /\ asleep' = asleep \ {w} /\ Go(w, "gives up")
       /\ UNCHANGED <<word, published, lock, life, saw, told, misused>>
Act(c) ==
    CASE c.op = "hold" -> Holds
      [] c.op = "let_go" -> LetGo \/ WakeAll("work") \/ Post("work")
      [] c.op = "commit" -> Commits
      [] c.op = "finish" -> Finishes(c)
      [] c.op = "cancel" -> Look(c.who) \/ Swap(c.who) \/ WakeAll(c.who) \/ Post(c.who)
      [] c.op = "wait" -> Waits(c)
Answered(c) ==
    CASE c.op = "hold" -> TRUE
      [] c.op = "let_go" -> pc'["work"] \in {"again", "release"}
      [] c.op = "commit" -> TRUE
      [] c.op = "finish" -> pc'["work"] = "done"
      [] c.op = "cancel" -> pc'[c.who] = "done"
      [] c.op = "wait" -> pc'[c.who] \in {"done", "gives up"}
Says(c) ==
    CASE c.op = "hold" -> (pc'["work"] \in {"held", "held again"}) = (c.answer = "held")
      [] c.op = "commit" -> outcome' = c.answer
      [] c.op = "cancel" -> told'[c.who] = c.answer
      [] c.op = "wait" -> IF pc'[c.who] = "gives up" THEN c.answer = "not yet" ELSE final' /\ outcome' = c.answer
      [] OTHER -> TRUE

Step(t) ==
    LET c == Calls[t][ended[t] + 1] IN
    /\ ended[t] < Len(Calls[t]) /\ \A o \in TraceThreads : ended[o] >= c.after[o]
    /\ Act(c)
    /\ IF Answered(c) THEN Says(c) /\ ended' = [ended EXCEPT ![t] = @ + 1] ELSE UNCHANGED ended
    /\ UNCHANGED <<trace, callsBack>>
    /\ (\A o \in TraceThreads : ended'[o] = Len(Calls[o])) => PrintT(<<"accepted", trace>>)
TraceSpec == TraceInit /\ [][\E t \in TraceThreads : Step(t)]_all
=============================================================================
