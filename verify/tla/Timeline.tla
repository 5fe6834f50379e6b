------------------------------ MODULE Timeline ------------------------------
(* Models src/runtime/timeline.c: hd_timeline_signal (with take_reached), hd_timeline_wait,          *)
(* hd_timeline_set_watch.                                                                            *)
(* Promises: ONCE (a watch is told once, or refused), BOUND (no lost wake-up).                       *)
(*                                                                                                   *)
(* Grain: one action is one atomic operation on completed or waiting; the list changes together with *)
(* one of these, under the lock. One thread signals the points 1 to Last in order.                   *)
(* Abstracted: time limits may pass at any moment or never; memory is sequentially consistent, which *)
(* is what the seq_cst accesses to completed and waiting give; the mutant late_store shows what      *)
(* happens when the look at waiting is done first.                                                   *)
EXTENDS Naturals, FiniteSets

CONSTANTS Waiters, Watchers, Last,
    Spurious, \* whether waits end without a reason, too
    Mutant

Threads == Waiters \cup Watchers \cup {"signaller"}
Nobody == "nobody"

VARIABLES
    completed, waiting, \* atomics
    lock,
    listed,             \* watches in the list, under the lock
    asleep,             \* waiting on the condition and not yet woken
    wanted,             \* of each waiter and watcher: its point
    saw,                \* signaller: what it read from waiting
    taken,              \* signaller: watches off the list, not yet told
    told,               \* of each watcher: how often its function was called
    pc

vars == <<completed, waiting, lock, listed, asleep, wanted, saw, taken, told, pc>>
Go(t, where) == pc' = [pc EXCEPT ![t] = where]
S == "signaller"

Init ==
    /\ completed = 0 /\ waiting = 0 /\ lock = Nobody /\ listed = {} /\ asleep = {}
    /\ wanted \in [Waiters \cup Watchers -> 1..Last]
    /\ saw = 0 /\ taken = {} /\ told = [w \in Watchers |-> 0]
    /\ pc = [t \in Threads |-> IF t = S /\ Mutant = "late_store" THEN "look" ELSE "begin"]

\* ---- hd_timeline_signal
Store ==
    /\ pc[S] = "begin" /\ completed < Last /\ completed' = completed + 1
    /\ Go(S, IF Mutant = "late_store" THEN "judge" ELSE "look")
    /\ UNCHANGED <<waiting, lock, listed, asleep, wanted, saw, taken, told>>

LookWaiting ==
    /\ pc[S] = "look" /\ (Mutant = "late_store" => completed < Last) /\ saw' = waiting
    /\ Go(S, IF Mutant = "late_store" THEN "begin" ELSE "judge")
    /\ UNCHANGED <<completed, waiting, lock, listed, asleep, wanted, taken, told>>

Judge == \* a local step
    /\ pc[S] = "judge"
    /\ Go(S, IF saw # 0 THEN "relock" ELSE IF Mutant = "late_store" THEN "look" ELSE "begin")
    /\ UNCHANGED <<completed, waiting, lock, listed, asleep, wanted, saw, taken, told>>

Reached == {w \in listed : wanted[w] <= completed}
SignalLock ==
    /\ pc[S] = "relock" /\ lock = Nobody /\ lock' = S /\ Go(S, "take")
    /\ UNCHANGED <<completed, waiting, listed, asleep, wanted, saw, taken, told>>

Take ==
    /\ pc[S] = "take" /\ Go(S, "notify")
    /\ taken' = Reached /\ waiting' = waiting - Cardinality(Reached)
    /\ listed' = IF Mutant = "watch_stays" THEN listed ELSE listed \ Reached
    /\ UNCHANGED <<completed, lock, asleep, wanted, saw, told>>

Notify == \* broadcast, and unlock
    /\ pc[S] = "notify" /\ lock' = Nobody /\ Go(S, "tell")
    /\ IF Mutant = "signal_one" /\ asleep # {} THEN \E w \in asleep : asleep' = asleep \ {w}
       ELSE asleep' = {}
    /\ UNCHANGED <<completed, waiting, listed, wanted, saw, taken, told>>

Tell ==
    /\ pc[S] = "tell"
    /\ IF taken = {} THEN /\ Go(S, IF Mutant = "late_store" THEN "look" ELSE "begin")
                          /\ UNCHANGED <<taken, told>>
       ELSE \E w \in taken : /\ taken' = taken \ {w} /\ told' = [told EXCEPT ![w] = @ + 1]
                             /\ UNCHANGED pc
    /\ UNCHANGED <<completed, waiting, lock, listed, asleep, wanted, saw>>

\* ---- hd_timeline_wait, and the same beginning of hd_timeline_set_watch
FirstLook(t) ==
    /\ t \in Waiters /\ pc[t] = "begin"
    /\ Go(t, IF completed >= wanted[t] THEN "done" ELSE "enter")
    /\ UNCHANGED <<completed, waiting, lock, listed, asleep, wanted, saw, taken, told>>

Enter(t) ==
    /\ t # S /\ pc[t] = (IF t \in Waiters THEN "enter" ELSE "begin") /\ lock = Nobody /\ lock' = t
    /\ Go(t, IF Mutant = "look_first" THEN "late_count" ELSE "count")
    /\ UNCHANGED <<completed, waiting, listed, asleep, wanted, saw, taken, told>>

LookThenCount(t) == \* mutant: the look comes before the count
    /\ pc[t] = "late_count"
    /\ Go(t, IF completed >= wanted[t] THEN "count" ELSE "count_and_sleep")
    /\ UNCHANGED <<completed, waiting, lock, listed, asleep, wanted, saw, taken, told>>

Count(t) ==
    /\ pc[t] = "count" /\ waiting' = waiting + 1 /\ Go(t, "check")
    /\ UNCHANGED <<completed, lock, listed, asleep, wanted, saw, taken, told>>

Rest(t) == \* goes to sleep, or puts its watch into the list
    /\ lock' = Nobody /\ Go(t, IF t \in Waiters THEN "sleep" ELSE "watching")
    /\ asleep' = IF t \in Waiters THEN asleep \cup {t} ELSE asleep
    /\ listed' = IF t \in Watchers THEN listed \cup {t} ELSE listed

CountAndSleep(t) ==
    /\ pc[t] = "count_and_sleep" /\ waiting' = waiting + 1 /\ Rest(t)
    /\ UNCHANGED <<completed, wanted, saw, taken, told>>

CheckPoint(t) ==
    /\ pc[t] = "check"
    /\ IF completed >= wanted[t] /\ ~(Mutant = "watch_blind" /\ t \in Watchers)
       THEN /\ waiting' = waiting - 1 /\ lock' = Nobody /\ Go(t, "done") /\ UNCHANGED <<asleep, listed>>
       ELSE Rest(t) /\ UNCHANGED waiting
    /\ UNCHANGED <<completed, wanted, saw, taken, told>>

Wake(t) ==
    /\ pc[t] = "sleep" /\ t \notin asleep /\ lock = Nobody /\ lock' = t /\ Go(t, "check")
    /\ UNCHANGED <<completed, waiting, listed, asleep, wanted, saw, taken, told>>

Expire(t) == \* the time limit passes; the last look decides between HD_OK and HD_NOT_YET
    /\ pc[t] = "sleep" /\ lock = Nobody /\ asleep' = asleep \ {t} /\ waiting' = waiting - 1
    /\ Go(t, "done")
    /\ UNCHANGED <<completed, lock, listed, wanted, saw, taken, told>>

WakeAtWill(t) ==
    /\ Spurious /\ t \in asleep /\ asleep' = asleep \ {t}
    /\ UNCHANGED <<completed, waiting, lock, listed, wanted, saw, taken, told, pc>>

Locks(t) == IF t = S THEN SignalLock ELSE Enter(t) \/ Wake(t)
Steps(t) == IF t = S THEN Store \/ LookWaiting \/ Judge \/ Take \/ Notify \/ Tell
            ELSE FirstLook(t) \/ LookThenCount(t) \/ Count(t) \/ CountAndSleep(t) \/ CheckPoint(t)
Chance(t) == t # S /\ (Expire(t) \/ WakeAtWill(t))
Resting == completed = Last /\ pc[S] = IF Mutant = "late_store" THEN "look" ELSE "begin"
AllDone ==
    /\ Resting
    /\ \A t \in Waiters : pc[t] = "done"
    /\ \A t \in Watchers : pc[t] \in {"done", "watching"}
    /\ UNCHANGED vars
Next == (\E t \in Threads : Locks(t) \/ Steps(t) \/ Chance(t)) \/ AllDone
Spec == Init /\ [][Next]_vars /\ \A t \in Threads : WF_vars(Steps(t)) /\ SF_vars(Locks(t))

\* ---- what must hold
Counted == {"check", "sleep"}
WaitingCounts == lock = Nobody =>
    waiting = Cardinality({t \in Waiters : pc[t] \in Counted}) + Cardinality(listed)
ToldAtMostOnce == \A w \in Watchers : told[w] <= 1 /\ (pc[w] = "done" => told[w] = 0)
ToldWhenReached == \A w \in Watchers : told[w] = 1 => completed >= wanted[w]
NoLostWakeUp == \* the last point is signalled: nobody sleeps, no watch is left
    Resting => asleep = {} /\ \A w \in Watchers : pc[w] = "watching" => told[w] = 1
EveryWaitEnds == \A t \in Waiters : (pc[t] = "sleep") ~> (pc[t] = "done")
EveryWatchIsTold == \A w \in Watchers : (pc[w] = "watching") ~> (told[w] = 1)
=============================================================================
