-------------------------------- MODULE Once --------------------------------
(* Models src/base/once.c: hd_once_start with await_end and tell_end, by several threads at once.     *)
(* Promises: ONCE (what is needed is started by one thread, and once), BOUND (who comes meanwhile is  *)
(* told how it ended, and a start that failed is tried again by the next who comes).                  *)
(*                                                                                                    *)
(* Grain: one action is one atomic operation on the word, or what is done under the lock up to a      *)
(* sleep. Abstracted: a start may fail as often as `Failures` says, then it does not.                 *)
EXTENDS Naturals, FiniteSets

CONSTANTS Threads, Failures, Mutant

VARIABLES state, \* "not", "starting", "started"
    started,     \* how often a start has succeeded; a ghost
    failures,    \* how often one may still fail
    asleep, pc
vars == <<state, started, failures, asleep, pc>>
Go(t, where) == pc' = [pc EXCEPT ![t] = where]

Init ==
    /\ state = "not" /\ started = 0 /\ failures = Failures /\ asleep = {}
    /\ pc = [t \in Threads |-> "look"]

Look(t) ==
    /\ pc[t] = "look" /\ Go(t, IF state = "started" THEN "done" ELSE "swap") /\ UNCHANGED <<state, started, failures, asleep>>

Swap(t) ==
    /\ pc[t] = "swap" /\ UNCHANGED <<started, failures, asleep>>
    /\ IF state = "not" THEN /\ state' = IF Mutant = "split" THEN state ELSE "starting"
                             /\ Go(t, IF Mutant = "split" THEN "store" ELSE "start")
       ELSE UNCHANGED state /\ Go(t, IF state = "starting" THEN "await" ELSE "look")

StoreLate(t) == \* mutant: a load and a store in place of compare and swap
    /\ pc[t] = "store" /\ state' = "starting" /\ Go(t, "start") /\ UNCHANGED <<started, failures, asleep>>

Start(t) == \* the caller's function, and the word behind it
    /\ pc[t] = "start" /\ UNCHANGED asleep
    /\ \/ /\ started' = started + 1 /\ state' = (IF Mutant = "forgotten" THEN "not" ELSE "started")
          /\ Go(t, "tell done") /\ UNCHANGED failures
       \/ /\ failures > 0 /\ failures' = failures - 1
          /\ state' = (IF Mutant = "failure_stays" THEN state ELSE "not")
          /\ Go(t, IF Mutant = "failure_is_success" THEN "tell done" ELSE "tell failed") /\ UNCHANGED started

Tell(t) == \* lock, broadcast, unlock: not between another's look and its sleep
    /\ pc[t] \in {"tell done", "tell failed"} /\ (Mutant = "told_unlocked" \/ \A o \in Threads : pc[o] # "rest")
    /\ asleep' = (IF Mutant = "end_not_told" THEN asleep ELSE {})
    /\ Go(t, IF pc[t] = "tell done" THEN "done" ELSE "failed") /\ UNCHANGED <<state, started, failures>>

Await(t) == \* under the lock: a look
    /\ pc[t] = "await" /\ (\A o \in Threads : pc[o] # "rest")
    /\ Go(t, IF state = "starting" THEN "rest" ELSE "look") /\ UNCHANGED <<state, started, failures, asleep>>

Rest(t) == \* and the sleep, which gives the lock back
    /\ pc[t] = "rest" /\ asleep' = asleep \cup {t} /\ Go(t, "sleep") /\ UNCHANGED <<state, started, failures>>

Wake(t) ==
    /\ pc[t] = "sleep" /\ t \notin asleep /\ Go(t, "await") /\ UNCHANGED <<state, started, failures, asleep>>

Steps(t) == Look(t) \/ Swap(t) \/ StoreLate(t) \/ Start(t) \/ Tell(t) \/ Await(t) \/ Rest(t) \/ Wake(t)
Ended == \A t \in Threads : pc[t] \in {"done", "failed"}
Next == (\E t \in Threads : Steps(t)) \/ (Ended /\ UNCHANGED vars)
\* All that is asked of the scheduler: while anything can go on, something does.
Spec == Init /\ [][Next]_vars /\ WF_vars(\E t \in Threads : Steps(t))

\* ---- what must hold
OneStarts == Cardinality({t \in Threads : pc[t] = "start"}) <= 1
StartedOnce == started <= 1
DoneMeansStarted == \A t \in Threads : pc[t] = "done" => started > 0 /\ state = "started"
NoLostWakeUp == state # "starting" /\ (\A t \in Threads : pc[t] \notin {"tell done", "tell failed", "start"})
    => asleep = {} /\ \A t \in Threads : pc[t] # "rest"
EveryCallEnds == <>Ended
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go
  hd_once_is_started: Look
  hd_once_start: Swap Start
  a mutant: StoreLate
  tell_end: Tell
  await_end: Await Rest Wake

properties: the promise, and what asserts it in the code
  OneStarts: ONCE ONCE.made-once
  StartedOnce: ONCE ONCE.made-once
  DoneMeansStarted: ONCE explorer:race
  NoLostWakeUp: BOUND explorer:deadlock
  EveryCallEnds: BOUND explorer:deadlock
