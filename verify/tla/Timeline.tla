------------------------------ MODULE Timeline ------------------------------
(* Models src/runtime/timeline.c: hd_timeline_signal (with take_reached), hd_timeline_wait,          *)
(* hd_timeline_set_watch.                                                                            *)
(* Promises: ONCE (a watch is told once each time that it was put into the list, at its point), BOUND *)
(* (no lost wake-up: when a signal returns nobody waits for what it reached).                        *)
(*                                                                                                   *)
(* Grain: one action is one operation on completed, waiting, the lock or the condition, so that traces *)
(* of the C code can be followed (TimelineTrace); the list changes together with one of these, under *)
(* the lock. One thread signals the points 1 to Last in order; watches are taken *)
(* off the list and told one at a time, so that one may be set again meanwhile.                      *)
(* Abstracted: time limits may pass at any moment or never; which of several reached watches is next *)
(* is open; memory is sequentially consistent, which is what the seq_cst accesses to completed and   *)
(* waiting give; the mutant late_store shows what happens when the look at waiting is done first.    *)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS Waiters,
    Watchers, \* threads that set a watch, each for a point
    Watches,
    Last,
    Spurious, \* whether waits end without a reason, too
    Mutant

Threads == Waiters \cup Watchers \cup {"signaller"}
Nobody == "nobody"

VARIABLES
    completed, waiting, \* atomics
    lock,
    listed, at,         \* watches in the list, and the point of each, under the lock
    asleep,             \* waiting on the condition and not yet woken
    wanted, watch,      \* of each waiter and watcher its point; of each watcher its watch
    saw,                \* signaller: what it read from waiting
    taken,              \* signaller: the watch off the list, not yet told
    sets, told,         \* of each watch: how often it was listed; how often its function was called
    due,                \* watchers to whom set_watch said that they will be told
    pc

list == <<listed, at, sets>>
vars == <<completed, waiting, lock, list, asleep, wanted, watch, saw, taken, told, due, pc>>
Go(t, where) == pc' = [pc EXCEPT ![t] = where]
S == "signaller"
Idle == IF Mutant = "late_store" THEN "look" ELSE "begin"

InitWith(points, watched) ==
    /\ completed = 0 /\ waiting = 0 /\ lock = Nobody /\ listed = {} /\ asleep = {}
    /\ at = [w \in Watches |-> 0] /\ sets = [w \in Watches |-> 0]
    /\ wanted = points /\ watch = watched
    /\ saw = 0 /\ taken = {} /\ told = [w \in Watches |-> 0] /\ due = {}
    /\ pc = [t \in Threads |-> IF t = S THEN Idle ELSE "begin"]
Init == \E points \in [Waiters \cup Watchers -> 1..Last], watched \in [Watchers -> Watches] : InitWith(points, watched)

\* ---- hd_timeline_signal
Store ==
    /\ pc[S] = "begin" /\ completed < Last /\ completed' = completed + 1
    /\ Go(S, IF Mutant = "late_store" THEN "judge" ELSE "look")
    /\ UNCHANGED <<waiting, lock, list, asleep, wanted, watch, saw, taken, told, due>>

LookWaiting ==
    /\ pc[S] = "look" /\ (Mutant = "late_store" => completed < Last) /\ saw' = waiting
    /\ Go(S, IF Mutant = "late_store" THEN "begin" ELSE "judge")
    /\ UNCHANGED <<completed, waiting, lock, list, asleep, wanted, watch, taken, told, due>>

Judge == \* a local step
    /\ pc[S] = "judge" /\ Go(S, IF saw # 0 THEN "relock" ELSE Idle)
    /\ UNCHANGED <<completed, waiting, lock, list, asleep, wanted, watch, saw, taken, told, due>>

SignalLock ==
    /\ pc[S] \in {"relock", "again"} /\ lock = Nobody /\ lock' = S
    /\ Go(S, IF pc[S] = "relock" THEN "notify" ELSE "take")
    /\ UNCHANGED <<completed, waiting, list, asleep, wanted, watch, saw, taken, told, due>>

Notify == \* broadcast
    /\ pc[S] = "notify" /\ Go(S, "take")
    /\ IF Mutant = "signal_one" /\ asleep # {} THEN \E w \in asleep : asleep' = asleep \ {w}
       ELSE asleep' = {}
    /\ UNCHANGED <<completed, waiting, lock, list, wanted, watch, saw, taken, told, due>>

Reached == {w \in listed : at[w] <= completed + (IF Mutant = "told_early" THEN 1 ELSE 0)}
Take == \* one watch; or the end
    /\ pc[S] = "take"
    /\ IF Reached = {} \/ (Mutant = "one_watch" /\ \E w \in Watches : told[w] > 0)
       THEN Go(S, Idle) /\ lock' = Nobody /\ UNCHANGED <<taken, waiting, listed>>
       ELSE \E w \in Reached :
           /\ taken' = {w} /\ waiting' = waiting - 1 /\ UNCHANGED lock
           /\ listed' = IF Mutant = "watch_stays" THEN listed ELSE listed \ {w}
           /\ Go(S, IF Mutant = "told_locked" THEN "tell" ELSE "let_go")
    /\ UNCHANGED <<completed, at, sets, asleep, wanted, watch, saw, told, due>>

LetGo ==
    /\ pc[S] = "let_go" /\ lock' = Nobody /\ Go(S, "tell")
    /\ UNCHANGED <<completed, waiting, list, asleep, wanted, watch, saw, taken, told, due>>

Tell == \* whoever relies on the watch is told
    /\ pc[S] = "tell" /\ told' = [w \in Watches |-> told[w] + (IF w \in taken THEN 1 ELSE 0)]
    /\ due' = {t \in due : watch[t] \notin taken}
    /\ IF Mutant = "told_twice" /\ \A w \in taken : told[w] = 0 THEN UNCHANGED <<taken, pc>>
       ELSE taken' = {} /\ Go(S, IF Mutant = "told_locked" THEN "take" ELSE "again")
    /\ UNCHANGED <<completed, waiting, lock, list, asleep, wanted, watch, saw>>

\* ---- hd_timeline_wait, and the same beginning of hd_timeline_set_watch
FirstLook(t) ==
    /\ t \in Waiters /\ pc[t] = "begin"
    /\ Go(t, IF completed >= wanted[t] THEN "done" ELSE "enter")
    /\ UNCHANGED <<completed, waiting, lock, list, asleep, wanted, watch, saw, taken, told, due>>

Enter(t) ==
    /\ t # S /\ pc[t] = (IF t \in Waiters THEN "enter" ELSE "begin") /\ lock = Nobody /\ lock' = t
    /\ Go(t, IF Mutant = "look_first" THEN "late_count" ELSE "count")
    /\ UNCHANGED <<completed, waiting, list, asleep, wanted, watch, saw, taken, told, due>>

LookThenCount(t) == \* mutant: the look comes before the count
    /\ pc[t] = "late_count"
    /\ Go(t, IF completed >= wanted[t] THEN "count" ELSE "count_and_sleep")
    /\ UNCHANGED <<completed, waiting, lock, list, asleep, wanted, watch, saw, taken, told, due>>

Count(t) ==
    /\ pc[t] = "count" /\ waiting' = waiting + 1 /\ Go(t, "check")
    /\ UNCHANGED <<completed, lock, list, asleep, wanted, watch, saw, taken, told, due>>

Sleep(t) == lock' = Nobody /\ Go(t, "sleep") /\ asleep' = asleep \cup {t} /\ UNCHANGED list
\* Puts the watch into the list, or finds it there.
List(t) ==
    LET w == watch[t] IN
    /\ Go(t, IF w \in listed THEN "uncount" ELSE "unlock") /\ UNCHANGED <<asleep, lock>> /\ listed' = listed \cup {w}
    /\ sets' = [sets EXCEPT ![w] = @ + (IF w \in listed THEN 0 ELSE 1)]
    /\ at' = [at EXCEPT ![w] = IF w \notin listed \/ (wanted[t] < @ /\ Mutant # "watch_not_moved")
                                   \/ Mutant = "watch_moved_back"
                               THEN wanted[t] ELSE @]

CountAndSleep(t) ==
    /\ pc[t] = "count_and_sleep" /\ waiting' = waiting + 1
    /\ IF t \in Waiters THEN Sleep(t) /\ UNCHANGED due ELSE List(t) /\ due' = due \cup {t}
    /\ UNCHANGED <<completed, wanted, watch, saw, taken, told>>

CheckPoint(t) ==
    /\ pc[t] = "check"
    /\ IF completed >= wanted[t] /\ ~(Mutant = "watch_blind" /\ t \in Watchers)
       THEN Go(t, "uncount") /\ UNCHANGED <<lock, asleep, list, due>>
       ELSE IF t \in Waiters THEN Go(t, "rest") /\ UNCHANGED <<lock, asleep, list, due>>
       ELSE List(t) /\ due' = due \cup {t}
    /\ UNCHANGED <<completed, waiting, wanted, watch, saw, taken, told>>

Rest(t) == pc[t] = "rest" /\ Sleep(t) /\ UNCHANGED <<completed, waiting, wanted, watch, saw, taken, told, due>>

Late(t) == \* its time is over: the last look decides between HD_OK and HD_NOT_YET
    /\ pc[t] = "late" /\ Go(t, "uncount")
    /\ UNCHANGED <<completed, waiting, lock, list, asleep, wanted, watch, saw, taken, told, due>>

Uncount(t) ==
    /\ pc[t] = "uncount" /\ Go(t, "unlock")
    /\ waiting' = waiting - (IF Mutant = "watch_counted_twice" /\ t \in due THEN 0 ELSE 1)
    /\ UNCHANGED <<completed, lock, list, asleep, wanted, watch, saw, taken, told, due>>

Unlock(t) ==
    /\ pc[t] = "unlock" /\ lock' = Nobody /\ Go(t, "done")
    /\ UNCHANGED <<completed, waiting, list, asleep, wanted, watch, saw, taken, told, due>>

Wake(t) ==
    /\ pc[t] = "sleep" /\ t \notin asleep /\ lock = Nobody /\ lock' = t /\ Go(t, "check")
    /\ UNCHANGED <<completed, waiting, list, asleep, wanted, watch, saw, taken, told, due>>

Expire(t) == \* the time limit passes: it is not woken any more, and takes the lock
    /\ t \in asleep /\ asleep' = asleep \ {t} /\ Go(t, "expired")
    /\ UNCHANGED <<completed, waiting, lock, list, wanted, watch, saw, taken, told, due>>

ExpiredLock(t) ==
    /\ pc[t] = "expired" /\ lock = Nobody /\ lock' = t /\ Go(t, "late")
    /\ UNCHANGED <<completed, waiting, list, asleep, wanted, watch, saw, taken, told, due>>

WakeAtWill(t) ==
    /\ Spurious /\ t \in asleep /\ asleep' = asleep \ {t}
    /\ UNCHANGED <<completed, waiting, lock, list, wanted, watch, saw, taken, told, due, pc>>

Locks(t) == IF t = S THEN SignalLock ELSE Enter(t) \/ Wake(t) \/ ExpiredLock(t)
Steps(t) == IF t = S THEN Store \/ LookWaiting \/ Judge \/ Take \/ LetGo \/ Notify \/ Tell
            ELSE FirstLook(t) \/ LookThenCount(t) \/ Count(t) \/ CountAndSleep(t) \/ CheckPoint(t)
                 \/ Rest(t) \/ Late(t) \/ Uncount(t) \/ Unlock(t)
Chance(t) == t # S /\ (Expire(t) \/ WakeAtWill(t))
AllDone == completed = Last /\ pc[S] = Idle /\ \A t \in Threads \ {S} : pc[t] = "done" /\ UNCHANGED vars
Next == (\E t \in Threads : Locks(t) \/ Steps(t) \/ Chance(t)) \/ AllDone
Spec == Init /\ [][Next]_vars /\ \A t \in Threads : WF_vars(Steps(t)) /\ SF_vars(Locks(t))

Same == Permutations(Watchers) \cup Permutations(Watches)

\* ---- what must hold
Counted == {"check", "rest", "sleep", "expired"}
WaitingCounts == lock = Nobody =>
    waiting = Cardinality({t \in Waiters : pc[t] \in Counted}) + Cardinality(listed)
ToldOncePerSet == \A w \in Watches :
    sets[w] = told[w] + (IF w \in taken THEN 1 ELSE 0) + (IF w \in listed THEN 1 ELSE 0)
ToldWhenReached == \A w \in taken : w \in listed \/ completed >= at[w]
ToldUnlocked == pc[S] = "tell" => lock # S
NoLostWakeUp == \* between signals nobody waits for what is reached
    pc[S] = Idle => \A t \in asleep \cup due : completed < wanted[t]
EveryWaitEnds == \A t \in Waiters : (pc[t] = "sleep") ~> (pc[t] = "done")
EveryWatchIsTold == \A t \in Watchers : (t \in due) ~> (t \notin due)
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go
  hd_timeline_signal: Store LookWaiting Judge Notify Take LetGo Tell
  timeline_lock: SignalLock Enter ExpiredLock
  hd_timeline_wait hd_timeline_set_watch: FirstLook Count Sleep List CheckPoint Rest Late Uncount Unlock Wake Expire
  a mutant: LookThenCount CountAndSleep
  any time: WakeAtWill
  the end: AllDone

properties: the promise, and what asserts it in the code
  WaitingCounts: BOUND BOUND.timeline-nobody-waits
  ToldOncePerSet: ONCE ONCE.told-once
  ToldWhenReached: SAFE SAFE.work-seen
  ToldUnlocked: SAFE explorer:rank
  NoLostWakeUp: BOUND BOUND.reached explorer:deadlock
  EveryWaitEnds: BOUND BOUND.reached explorer:deadlock
  EveryWatchIsTold: ONCE ONCE.told
