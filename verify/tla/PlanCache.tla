----------------------------- MODULE PlanCache ------------------------------
(* Models src/runtime/plan_cache.c: hd_plan_cache_find and hd_plan_cache_finish, and what            *)
(* find_or_make in src/graph/run_plan.c does between them.                                           *)
(* Promises: ONCE (a key is made by one thread at a time, and what was begun is finished), SAFE (a   *)
(* plan is freed once, and by nobody who still uses it), FLAT (ready plans within the capacity),     *)
(* BOUND (a failed making wakes the next; other keys go on).                                         *)
(*                                                                                                   *)
(* Grain: what happens while the lock is held is one action; making, allocation and the release of   *)
(* an evicted plan happen under no lock and are actions of their own.                                *)
(* Abstracted: keys are compared as values, the list is a function; plans come from a small stock.   *)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS Threads, Keys, Capacity,
    StuckKey,  \* a key whose making need never end; "none": all end
    Stops,     \* whether runs may be stopped
    PlanCount, \* the stock of plan objects
    Mutant

Names == Permutations(Threads) \cup Permutations(Keys)
Plans == 1..PlanCount
NoPlan == 0
Absent == 0
Making == PlanCount + 1
NoKey == "no key"

VARIABLES
    entry,     \* of each key: Absent, Making or a plan
    recency,   \* ready keys, the least recently used first
    references, key_of, \* of each plan; references 0: free
    wanted,    \* of each thread: its key
    plan,      \* of each thread: the plan that it uses
    dropped,   \* of each thread: the plan that it took out of the cache
    fresh,     \* of each thread: it has allocated an entry
    asleep, makers, pc,
    stopped    \* the threads whose run is to end

vars == <<entry, recency, references, key_of, wanted, plan, dropped, fresh, asleep, makers, pc, stopped>>

Go(t, where) == pc' = [pc EXCEPT ![t] = where]
Ready(k) == entry[k] \in Plans
Touch(k) == Append(SelectSeq(recency, LAMBDA x : x # k), k)
Free(t) == \* the lock, which mutant make_under_lock does not give back
    Mutant = "make_under_lock" => \A o \in Threads \ {t} : pc[o] # "make"

Init ==
    /\ entry = [k \in Keys |-> Absent] /\ recency = <<>>
    /\ references = [p \in Plans |-> 0] /\ key_of = [p \in Plans |-> NoKey]
    /\ wanted = [t \in Threads |-> NoKey] /\ plan = [t \in Threads |-> NoPlan]
    /\ dropped = [t \in Threads |-> NoPlan] /\ fresh = [t \in Threads |-> FALSE]
    /\ asleep = {} /\ makers = [k \in Keys |-> {}] /\ pc = [t \in Threads |-> "out"] /\ stopped = {}

Begin(t) ==
    /\ pc[t] = "out" /\ \E k \in Keys : wanted' = [wanted EXCEPT ![t] = k]
    /\ Go(t, "find") /\ stopped' = stopped \ {t}
    /\ UNCHANGED <<entry, recency, references, key_of, plan, dropped, fresh, asleep, makers>>

StopComes(t) == \* from anywhere, at any time
    /\ Stops /\ pc[t] # "out" /\ stopped' = stopped \cup {t}
    /\ UNCHANGED <<entry, recency, references, key_of, wanted, plan, dropped, fresh, asleep, makers, pc>>

\* ---- hd_plan_cache_find, one turn of its loop
FindReady(t) ==
    /\ pc[t] \in {"find", "find_again"} /\ Free(t) /\ Ready(wanted[t])
    /\ ~(Mutant = "no_second_look" /\ pc[t] = "find_again")
    /\ LET p == entry[wanted[t]] IN
       /\ references' = IF Mutant = "no_retain" THEN references ELSE [references EXCEPT ![p] = @ + 1]
       /\ plan' = [plan EXCEPT ![t] = p]
    /\ recency' = Touch(wanted[t]) /\ fresh' = [fresh EXCEPT ![t] = FALSE] /\ Go(t, "use")
    /\ UNCHANGED <<entry, key_of, wanted, dropped, asleep, makers>>

FindMaking(t) ==
    /\ pc[t] \in {"find", "find_again"} /\ Free(t) /\ entry[wanted[t]] = Making
    /\ ~(Mutant = "no_second_look" /\ pc[t] = "find_again")
    /\ asleep' = asleep \cup {t} /\ Go(t, "wait")
    /\ UNCHANGED <<entry, recency, references, key_of, wanted, plan, dropped, fresh, makers>>

Wake(t) ==
    /\ pc[t] = "wait" /\ t \notin asleep /\ Free(t) /\ Go(t, "find")
    /\ UNCHANGED <<entry, recency, references, key_of, wanted, plan, dropped, fresh, asleep, makers>>

Expire(t) == \* the time limit: HD_NOT_YET
    /\ pc[t] = "wait" /\ Free(t) /\ asleep' = asleep \ {t} /\ Go(t, "out")
    /\ fresh' = [fresh EXCEPT ![t] = FALSE] /\ wanted' = [wanted EXCEPT ![t] = NoKey]
    /\ UNCHANGED <<entry, recency, references, key_of, plan, dropped, makers>>

Tick(t) == \* a wait that may be stopped ends every few milliseconds, for a look: HD_CANCELLED, or it goes on
    /\ pc[t] = "wait" /\ Free(t) /\ t \in stopped /\ Mutant # "stop_slept_over" /\ asleep' = asleep \ {t}
    /\ IF Mutant = "stop_makes" THEN /\ Go(t, "make") /\ makers' = [makers EXCEPT ![wanted[t]] = @ \cup {t}]
                                     /\ UNCHANGED wanted
       ELSE Go(t, "out") /\ wanted' = [wanted EXCEPT ![t] = NoKey] /\ UNCHANGED makers
    /\ fresh' = [fresh EXCEPT ![t] = FALSE]
    /\ UNCHANGED <<entry, recency, references, key_of, plan, dropped>>

FindNothing(t) == \* unlocks to allocate, and looks again
    /\ pc[t] = "find" /\ Free(t) /\ entry[wanted[t]] = Absent /\ ~fresh[t] /\ Go(t, "allocate")
    /\ UNCHANGED <<entry, recency, references, key_of, wanted, plan, dropped, fresh, asleep, makers>>

Allocate(t) ==
    /\ pc[t] = "allocate"
    /\ \/ fresh' = [fresh EXCEPT ![t] = TRUE] /\ Go(t, "find_again") /\ UNCHANGED wanted
       \/ Go(t, "out") /\ wanted' = [wanted EXCEPT ![t] = NoKey] /\ UNCHANGED fresh \* out of memory
    /\ UNCHANGED <<entry, recency, references, key_of, plan, dropped, asleep, makers>>

Insert(t) ==
    /\ pc[t] \in {"find", "find_again"} /\ Free(t) /\ fresh[t]
    /\ entry[wanted[t]] = Absent \/ (Mutant = "no_second_look" /\ pc[t] = "find_again")
    /\ entry' = [entry EXCEPT ![wanted[t]] = Making] /\ fresh' = [fresh EXCEPT ![t] = FALSE]
    /\ makers' = [makers EXCEPT ![wanted[t]] = @ \cup {t}] /\ Go(t, "make")
    /\ UNCHANGED <<recency, references, key_of, wanted, plan, dropped, asleep>>

\* ---- the making, under no lock
Make(t) ==
    /\ pc[t] = "make"
    /\ \/ \* it failed, or was stopped: what was folded may be half done
          /\ Go(t, IF Mutant = "stop_leaves_making" /\ t \in stopped THEN "out" ELSE "finish")
          /\ UNCHANGED <<references, key_of, plan>>
       \/ \E p \in Plans :
          /\ t \notin stopped /\ references[p] = 0 /\ \A q \in Plans : q < p => references[q] # 0
          /\ references' = [references EXCEPT ![p] = 1] /\ key_of' = [key_of EXCEPT ![p] = wanted[t]]
          /\ plan' = [plan EXCEPT ![t] = p] /\ Go(t, "finish")
    /\ UNCHANGED <<entry, recency, wanted, dropped, fresh, asleep, makers>>

\* ---- hd_plan_cache_finish
Finish(t) ==
    /\ pc[t] = "finish" /\ Free(t)
    /\ LET k == wanted[t]
           grown == Touch(k)
           over == plan[t] # NoPlan /\ Len(grown) > Capacity /\ Mutant # "no_eviction"
           out == IF over THEN Head(grown) ELSE NoKey
           kept == IF plan[t] # NoPlan THEN [entry EXCEPT ![k] = plan[t]]
                   ELSE IF Mutant = "failure_stays" THEN entry ELSE [entry EXCEPT ![k] = Absent]
       IN /\ entry' = IF over THEN [kept EXCEPT ![out] = Absent] ELSE kept
          /\ dropped' = IF over THEN [dropped EXCEPT ![t] = kept[out]] ELSE dropped
          /\ recency' = IF plan[t] = NoPlan THEN recency ELSE IF over /\ Mutant # "recency_kept" THEN Tail(grown) ELSE grown
          /\ references' = IF plan[t] # NoPlan THEN [references EXCEPT ![plan[t]] = @ + 1] ELSE references
          /\ makers' = [makers EXCEPT ![k] = @ \ {t}]
    /\ asleep' = IF Mutant = "signal_one" /\ asleep # {} THEN asleep \ {CHOOSE x \in asleep : TRUE} ELSE {}
    /\ Go(t, "release")
    /\ UNCHANGED <<key_of, wanted, plan, fresh>>

Release(t) == \* the evicted plan, when the lock is given back
    /\ pc[t] = "release"
    /\ references' = IF dropped[t] # NoPlan THEN [references EXCEPT ![dropped[t]] = @ - 1] ELSE references
    /\ key_of' = [p \in Plans |-> IF references'[p] = 0 THEN NoKey ELSE key_of[p]]
    /\ dropped' = [dropped EXCEPT ![t] = NoPlan]
    /\ IF plan[t] # NoPlan THEN Go(t, "use") /\ UNCHANGED wanted
       ELSE Go(t, "out") /\ wanted' = [wanted EXCEPT ![t] = NoKey]
    /\ UNCHANGED <<entry, recency, plan, fresh, asleep, makers>>

Use(t) == \* the run ends and gives its reference back
    /\ pc[t] = "use"
    /\ references' = IF references[plan[t]] > 0 THEN [references EXCEPT ![plan[t]] = @ - 1] ELSE references
    /\ key_of' = [p \in Plans |-> IF references'[p] = 0 THEN NoKey ELSE key_of[p]]
    /\ plan' = [plan EXCEPT ![t] = NoPlan] /\ wanted' = [wanted EXCEPT ![t] = NoKey] /\ Go(t, "out")
    /\ UNCHANGED <<entry, recency, dropped, fresh, asleep, makers>>

Steps(t) ==
    /\ FindNothing(t) \/ Allocate(t) \/ (Make(t) /\ wanted[t] # StuckKey) \/ Release(t) \/ Use(t)
    /\ UNCHANGED stopped
Locks(t) == (FindReady(t) \/ FindMaking(t) \/ Wake(t) \/ Tick(t) \/ Insert(t) \/ Finish(t)) /\ UNCHANGED stopped
Next == \E t \in Threads :
    Begin(t) \/ StopComes(t) \/ Steps(t) \/ Locks(t) \/ ((Expire(t) \/ Make(t)) /\ UNCHANGED stopped)
Spec == Init /\ [][Next]_vars /\ \A t \in Threads : WF_vars(Steps(t)) /\ WF_vars(Locks(t))

\* ---- what must hold
SingleFlight == \A k \in Keys : /\ Cardinality(makers[k]) <= 1
                                /\ (makers[k] # {}) = (entry[k] = Making)
                                /\ \A t \in makers[k] : pc[t] \in {"make", "finish"}
Bounded == Cardinality({k \in Keys : Ready(k)}) <= Capacity
Recent == Len(recency) = Cardinality({k \in Keys : Ready(k)}) /\ \A i \in 1..Len(recency) : Ready(recency[i])
References == \* as many as hold it: users, the cache, and whoever has evicted it
    \A p \in Plans : references[p] =
        Cardinality({t \in Threads : plan[t] = p}) + Cardinality({k \in Keys : entry[k] = p})
        + Cardinality({t \in Threads : dropped[t] = p})
NeverUsedAfterFree ==
    \A t \in Threads : plan[t] # NoPlan => references[plan[t]] > 0 /\ key_of[plan[t]] = wanted[t]
\* Whether one who was woken still finds the plan is not promised (others may have failed or evicted it);
\* then it makes it itself or waits again, within its time limit.
Wants(t) == wanted[t] \notin {StuckKey, NoKey}
OthersGoOn == \A t \in Threads : /\ (pc[t] \in {"find", "find_again"} /\ Wants(t)) ~> pc[t] \notin {"find", "find_again"}
                                /\ (pc[t] = "wait" /\ Wants(t)) ~> pc[t] # "wait"
StoppedEnds == \* though the plan that it waits for is never finished
    \A t \in Threads : (pc[t] = "wait" /\ t \in stopped) ~> pc[t] # "wait"
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go Steps Locks
  find_or_make: Begin Use
  any time: StopComes
  hd_plan_cache_find hd_plan_cache_find_unless find_entry: FindReady FindMaking Wake Expire Tick FindNothing Allocate Insert
  the making: Make
  hd_plan_cache_finish oldest_entry: Finish Release

properties: the promise, and what asserts it in the code
  SingleFlight: ONCE ONCE.single-flight ONCE.finish-what-was-begun
  Bounded: FLAT FLAT.plans-bounded
  Recent: FLAT FLAT.kept FLAT.evicted
  References: SAFE explorer:freed explorer:leak
  NeverUsedAfterFree: SAFE SAFE.right-plan
  OthersGoOn: BOUND ONCE.found-or-made explorer:deadlock
  StoppedEnds: BOUND ONCE.found-or-stopped
