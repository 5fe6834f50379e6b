------------------------------- MODULE Future -------------------------------
(* Models src/runtime/future.c: hd_future_cancel, a deadline, the request (hd_future_hold, let_go,   *)
(* commit, finish), hd_future_wait, the handle's end, and the callback.                              *)
(* Promises: ONCE (one outcome, which stands; the caller's structs are written exactly where it is   *)
(* "ok"; the callback comes once), REUSE (final only while the request does not touch the caller's   *)
(* memory), BOUND (who waits is woken), SAFE (freed by the last who has it).                         *)
(*                                                                                                   *)
(* Grain: each operation on the state's word is one action; what happens under the lock is one       *)
(* action, waiting gives the lock back. Cancellers, who finds the deadline passed, and waiters share *)
(* the handle's reference, which the last of them gives back, or the owner at any moment once they   *)
(* are through (detach). The request holds the caller's memory once, or, as one of a batch, twice.   *)
EXTENDS Naturals, FiniteSets

CONSTANTS Cancellers, Waiters, CallsBack, Mutant
Deadline == "deadline"
Deciders == Cancellers \cup {Deadline}

VARIABLES outcome, held, final, waitedFor, published, lock, asleep, references, posted, called, freed, pc, saw, told,
          misused,
          callsBack \* constant
word == <<outcome, held, final, waitedFor>>
life == <<references, posted, called, freed>>
vars == <<word, published, lock, asleep, life, pc, saw, told, misused>>
Who == Deciders \cup Waiters \cup {"work", "handle", "caller"}
Go(p, where) == pc' = [pc EXCEPT ![p] = where]
Touch == misused' = (misused \/ freed)

InitWith(calls, absent) == \* absent: who has no part in it
    /\ callsBack = calls /\ outcome = "pending" /\ held = FALSE /\ final = FALSE /\ waitedFor = FALSE /\ published = FALSE
    /\ lock = "free" /\ asleep = {} /\ references = (IF calls THEN 3 ELSE 2) /\ posted = 0 /\ called = 0
    /\ freed = FALSE /\ misused = FALSE /\ pc = [p \in Who |-> IF p \in absent THEN "done" ELSE "begin"] /\ saw = [p \in Who |-> FALSE]
    /\ told = [d \in Deciders |-> "nothing"]
Init == InitWith(CallsBack, {})

\* ---- who cancels, or finds that the deadline has passed: a look, then a compare-and-swap
Wish(d) == IF d = Deadline THEN "deadline" ELSE "cancelled"
Look(d) ==
    /\ pc[d] = "begin" /\ Touch
    /\ IF outcome = "pending" THEN Go(d, "swap") /\ UNCHANGED told
       ELSE Go(d, "done") /\ told' = [told EXCEPT ![d] = outcome]
    /\ UNCHANGED <<word, published, lock, asleep, life, saw>>
Swap(d) ==
    LET wins == outcome = "pending" \/ Mutant = "outcome_overwritten"
        ends == wins /\ (~held \/ Mutant = "held_ignored")
    IN  /\ pc[d] = "swap" /\ Touch
        /\ outcome' = (IF wins THEN Wish(d) ELSE outcome) /\ told' = [told EXCEPT ![d] = outcome']
        /\ final' = (final \/ ends) /\ saw' = [saw EXCEPT ![d] = waitedFor]
        /\ Go(d, IF ends THEN "wake" ELSE "done")
        /\ UNCHANGED <<held, waitedFor, published, lock, asleep, life>>

\* ---- the request
Hold(from, to) ==
    /\ pc["work"] = from /\ Touch
    /\ IF outcome = "pending" \/ Mutant = "hold_unasked" THEN held' = TRUE /\ Go("work", to)
       ELSE Go("work", "finish") /\ UNCHANGED held
    /\ UNCHANGED <<outcome, final, waitedFor, published, lock, asleep, life, saw, told>>
LetGo == \* as one of a batch, once its inputs are copied; whose outcome is fixed then is final with it
    LET ends == outcome # "pending" /\ Mutant # "let_go_forgets"
    IN  /\ pc["work"] = "held" /\ held' = FALSE /\ final' = (final \/ ends) /\ Touch
        /\ saw' = [saw EXCEPT !["work"] = waitedFor] /\ Go("work", IF ends THEN "wake" ELSE "again")
        /\ UNCHANGED <<outcome, waitedFor, published, lock, asleep, life, told>>
Commit ==
    /\ pc["work"] \in {"held", "held again"} /\ Touch
    /\ IF outcome = "pending"
       THEN \E end \in {"ok", "failed", "deadline"} :
                /\ outcome' = end /\ Go("work", IF end = "ok" THEN "publish" ELSE "finish")
       ELSE /\ Go("work", IF Mutant = "committed_late" THEN "publish" ELSE "finish") /\ UNCHANGED outcome
    /\ UNCHANGED <<held, final, waitedFor, published, lock, asleep, life, saw, told>>
Publish ==
    /\ pc["work"] = "publish" /\ published' = TRUE
    /\ Go("work", IF Mutant = "published_late" THEN "wake" ELSE "finish")
    /\ UNCHANGED <<word, lock, asleep, life, saw, told, misused>>
Finish ==
    /\ pc["work"] = (IF Mutant = "published_late" /\ outcome = "ok" THEN "publish" ELSE "finish")
    /\ (Mutant = "published_late" => ~final \/ outcome # "ok")
    /\ held' = FALSE /\ final' = TRUE /\ saw' = [saw EXCEPT !["work"] = waitedFor] /\ Touch
    /\ Go("work", IF Mutant = "published_late" /\ outcome = "ok" THEN "publish"
                  ELSE IF final /\ Mutant # "told_twice" THEN "release" ELSE "wake")
    /\ UNCHANGED <<outcome, waitedFor, published, lock, asleep, life, told>>

\* ---- whoever has set FINAL
WakeAll(p) ==
    /\ pc[p] = "wake" /\ Go(p, "post") /\ Touch
    /\ IF saw[p] THEN (lock = "free" \/ Mutant = "unlocked_wake")
                      /\ asleep' = (IF Mutant = "wake_dropped" THEN asleep ELSE {})
       ELSE UNCHANGED asleep
    /\ UNCHANGED <<word, published, lock, life, saw, told>>
Post(p) ==
    /\ pc[p] = "post" /\ Go(p, IF p = "work" THEN "release" ELSE "done") /\ Touch
    /\ posted' = (IF callsBack THEN posted + 1 ELSE posted)
    /\ UNCHANGED <<word, published, lock, asleep, references, called, freed, saw, told>>
Release == \* of one reference; the last one frees
    /\ references' = references - (IF Mutant = "released_twice" THEN 2 ELSE 1) /\ freed' = (freed \/ references = 1)
GiveBack ==
    /\ (pc["work"] = "release" \/ (Mutant = "released_before_told" /\ pc["work"] = "wake"))
    /\ Go("work", IF pc["work"] = "release" THEN "done" ELSE "wake late") /\ Touch
    /\ IF Mutant = "reference_kept" THEN UNCHANGED <<references, freed>> ELSE Release
    /\ UNCHANGED <<word, published, lock, asleep, posted, called, saw, told>>
WakeLate == \* a mutant's
    /\ pc["work"] = "wake late" /\ Go("work", "done") /\ Touch /\ (saw["work"] => lock = "free") /\ asleep' = {}
    /\ posted' = (IF callsBack THEN posted + 1 ELSE posted)
    /\ UNCHANGED <<word, published, lock, references, called, freed, saw, told>>
Call == \* the callback thread, which has a reference of its own
    /\ posted > called /\ pc["caller"] = "begin" /\ Go("caller", "called") /\ called' = called + 1 /\ Touch
    /\ UNCHANGED <<word, published, lock, asleep, references, posted, freed, saw, told>>
CallReturns ==
    /\ pc["caller"] = "called" /\ Go("caller", "done") /\ Release /\ Touch
    /\ UNCHANGED <<word, published, lock, asleep, posted, called, saw, told>>

\* ---- waiting
LookFinal(w) ==
    /\ pc[w] = "begin" /\ Go(w, IF final THEN "done" ELSE "mark") /\ Touch
    /\ UNCHANGED <<word, published, lock, asleep, life, saw, told>>
Mark(w) == \* takes the lock and sets WAITED_FOR
    /\ pc[w] = "mark" /\ lock = "free" /\ lock' = w /\ waitedFor' = TRUE
    /\ Go(w, IF final THEN "leave" ELSE "look") /\ Touch
    /\ UNCHANGED <<outcome, held, final, published, asleep, life, saw, told>>
LookAgain(w) == \* under the lock
    /\ pc[w] = "look" /\ Go(w, IF final THEN "leave" ELSE "sleep") /\ Touch
    /\ UNCHANGED <<word, published, lock, asleep, life, saw, told>>
Sleep(w) ==
    /\ pc[w] = "sleep" /\ Go(w, "asleep") /\ asleep' = asleep \cup {w} /\ lock' = "free" /\ Touch
    /\ UNCHANGED <<word, published, life, saw, told>>
Wake(w) ==
    /\ pc[w] = "asleep" /\ w \notin asleep /\ lock = "free" /\ lock' = w /\ Go(w, "look") /\ Touch
    /\ UNCHANGED <<word, published, asleep, life, saw, told>>
Leave(w) ==
    /\ pc[w] = "leave" /\ Go(w, "done") /\ lock' = "free" /\ Touch
    /\ UNCHANGED <<word, published, asleep, life, saw, told>>

\* ---- the handle: its users have come back, or never begin
Destroy ==
    /\ pc["handle"] = "begin" /\ \A p \in Deciders \cup Waiters : pc[p] = "done"
    /\ Go("handle", "done") /\ Release /\ Touch
    /\ UNCHANGED <<word, published, lock, asleep, posted, called, saw, told>>
StayAway(p) ==
    /\ pc[p] = "begin" /\ p \in Waiters \cup {Deadline} /\ Go(p, "done")
    /\ UNCHANGED <<word, published, lock, asleep, life, saw, told, misused>>

Decide(d) == Look(d) \/ Swap(d) \/ WakeAll(d) \/ Post(d)
Work ==
    \/ Hold("begin", "held") \/ LetGo \/ Hold("again", "held again") \/ Commit \/ Publish \/ Finish
    \/ WakeAll("work") \/ Post("work") \/ GiveBack \/ WakeLate
Waiting(w) == LookFinal(w) \/ Mark(w) \/ LookAgain(w) \/ Sleep(w) \/ Wake(w) \/ Leave(w)
Next ==
    UNCHANGED callsBack /\
    \/ Work \/ Call \/ CallReturns \/ Destroy \/ \E d \in Deciders : Decide(d) \/ StayAway(d)
    \/ \E w \in Waiters : Waiting(w) \/ StayAway(w)
Spec ==
    /\ Init /\ [][Next]_vars
    \* All that is asked of the scheduler: while anything can go on, something does.
    /\ WF_vars(Work \/ Call \/ CallReturns \/ Destroy \/ (\E d \in Deciders : Decide(d))
               \/ (\E w \in Waiters : Waiting(w)))

\* ---- what must hold
OneOutcome == \A d \in Deciders : told[d] # "nothing" => told[d] = outcome
OutcomeStands == [][outcome # "pending" => outcome' = outcome]_vars
Touching == pc["work"] \in {"held", "held again", "publish"}
FinalMeansUntouched == final => outcome # "pending" /\ ~Touching
StoppedMeansFinal == outcome \in {"cancelled", "deadline"} /\ ~held => final
PublishedMeansOk == /\ (published => outcome = "ok") /\ (final /\ outcome = "ok" => published)
NoLostWakeUp == final /\ (\A p \in Who : pc[p] \notin {"wake", "wake late"})
                => asleep = {} /\ \A w \in Waiters : pc[w] # "sleep"
References == references >= 0 /\ freed = (references = 0)
CalledOnce == posted <= 1 /\ called <= 1 /\ (called = 1 => final)
NoUseAfterFree == ~misused
WaitersGoOn == \A w \in Waiters : <>(pc[w] = "done")
FreedInTheEnd == <>(freed /\ (callsBack => called = 1))
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go Touch Release
  decide: Look Swap
  hd_future_hold: Hold
  hd_future_let_go: LetGo
  hd_future_commit: Commit
  the request: Publish
  hd_future_finish: Finish
  tell_final: WakeAll Post
  release_future: GiveBack
  a mutant: WakeLate
  run_callback: Call CallReturns
  hd_future_wait: LookFinal
  await_final: Mark LookAgain Sleep Wake Leave
  hd_future_destroy: Destroy
  the caller: StayAway

properties: the promise, and what asserts it in the code
  OneOutcome: ONCE ONCE.one-outcome
  OutcomeStands: ONCE ONCE.outcome-stands
  FinalMeansUntouched: REUSE REUSE.untouched REUSE.held explorer:race
  StoppedMeansFinal: BOUND REUSE.untouched explorer:deadlock
  PublishedMeansOk: ONCE ONCE.published
  NoLostWakeUp: BOUND BOUND.final explorer:deadlock
  References: SAFE ONCE.finished-once explorer:freed
  CalledOnce: ONCE ONCE.called-once
  NoUseAfterFree: SAFE explorer:freed
  WaitersGoOn: BOUND BOUND.final
  FreedInTheEnd: SAFE BOUND.owners explorer:leak
