------------------------------- MODULE Future -------------------------------
(* Models src/runtime/future.c: hd_future_cancel, a deadline, hd_future_finish, hd_future_wait, the  *)
(* handle's end, and the callback.                                                                   *)
(* Promises: ONCE (one outcome, which stands; the callback comes once), REUSE (final only when the   *)
(* work has ended), BOUND (who waits is woken), SAFE (freed by the last who has it).                 *)
(*                                                                                                   *)
(* Grain: each operation on the state's word is one action; what happens under the lock is one       *)
(* action, waiting gives the lock back. Cancellers and waiters share the handle's reference, which   *)
(* the last of them gives back, or the owner at any moment once they are through (detach).           *)
EXTENDS Naturals, FiniteSets

CONSTANTS Cancellers, Waiters, CallsBack, Mutant
Deadline == "deadline"
Deciders == Cancellers \cup {Deadline, "work"}

VARIABLES outcome, final, waitedFor, lock, asleep, references, called, freed, ended, pc, saw, told, misused
vars == <<outcome, final, waitedFor, lock, asleep, references, called, freed, ended, pc, saw, told, misused>>
Who == Deciders \cup Waiters \cup {"handle", "caller"}
Go(p, where) == pc' = [pc EXCEPT ![p] = where]
Touch == misused' = (misused \/ freed)

Init ==
    /\ outcome = "pending" /\ final = FALSE /\ waitedFor = FALSE /\ lock = "free" /\ asleep = {}
    /\ references = 2 /\ called = 0 /\ freed = FALSE /\ ended = FALSE /\ misused = FALSE
    /\ pc = [p \in Who |-> "begin"] /\ saw = FALSE /\ told = [p \in Deciders |-> "nothing"]

\* ---- the outcome: a look, then a compare-and-swap
Wish(d) == IF d = "work" THEN "ok" ELSE IF d = Deadline THEN "deadline" ELSE "cancelled"
Look(d) ==
    /\ pc[d] = "begin" /\ (d = "work" => ended)
    /\ IF outcome = "pending" THEN Go(d, "swap") /\ UNCHANGED told
       ELSE Go(d, "decided") /\ told' = [told EXCEPT ![d] = outcome]
    /\ Touch /\ UNCHANGED <<outcome, final, waitedFor, lock, asleep, references, called, freed, ended, saw>>
Swap(d) ==
    /\ pc[d] = "swap" /\ Go(d, "decided")
    /\ IF outcome = "pending" \/ Mutant = "outcome_overwritten"
       THEN outcome' = Wish(d) /\ told' = [told EXCEPT ![d] = Wish(d)]
       ELSE told' = [told EXCEPT ![d] = outcome] /\ UNCHANGED outcome
    /\ final' = (final \/ (Mutant = "cancel_is_final" /\ d \in Cancellers))
    /\ Touch /\ UNCHANGED <<waitedFor, lock, asleep, references, called, freed, ended, saw>>

\* ---- the end of the work
End ==
    /\ ~ended /\ ended' = TRUE
    /\ UNCHANGED <<outcome, final, waitedFor, lock, asleep, references, called, freed, pc, saw, told, misused>>
SetFinal ==
    /\ pc["work"] = "decided" /\ saw' = waitedFor /\ Touch
    /\ IF Mutant = "final_stored" THEN Go("work", "store") /\ UNCHANGED final
       ELSE Go("work", "wake") /\ final' = TRUE
    /\ UNCHANGED <<outcome, waitedFor, lock, asleep, references, called, freed, ended, told>>
StoreFinal ==
    /\ pc["work"] = "store" /\ final' = TRUE /\ waitedFor' = saw /\ Go("work", "wake") /\ Touch
    /\ UNCHANGED <<outcome, lock, asleep, references, called, freed, ended, saw, told>>
WakeAll ==
    /\ pc["work"] = "wake" /\ Go("work", "release") /\ Touch
    /\ IF saw THEN (lock = "free" \/ Mutant = "unlocked_wake") /\ asleep' = (IF Mutant = "wake_dropped" THEN asleep ELSE {})
       ELSE UNCHANGED asleep
    /\ UNCHANGED <<outcome, final, waitedFor, lock, references, called, freed, ended, saw, told>>
Release(p) == \* of one reference; the last one frees
    /\ references' = references - 1 /\ freed' = (freed \/ references = 1)
GiveBack ==
    /\ pc["work"] = "release" /\ Go("work", "done") /\ Touch
    /\ IF ~CallsBack \/ Mutant = "released_before_post" THEN Release("work") ELSE UNCHANGED <<references, freed>>
    /\ UNCHANGED <<outcome, final, waitedFor, lock, asleep, called, ended, saw, told>>
Call == \* the callback thread, which has taken the reference over
    /\ CallsBack /\ pc["work"] = "done" /\ pc["caller"] = "begin" /\ Go("caller", "called")
    /\ called' = called + 1 /\ Touch
    /\ UNCHANGED <<outcome, final, waitedFor, lock, asleep, references, freed, ended, saw, told>>
CallReturns ==
    /\ pc["caller"] = "called" /\ Go("caller", "done") /\ Touch
    /\ IF Mutant = "released_before_post" THEN UNCHANGED <<references, freed>> ELSE Release("caller")
    /\ UNCHANGED <<outcome, final, waitedFor, lock, asleep, called, ended, saw, told>>

\* ---- waiting
LookFinal(w) ==
    /\ pc[w] = "begin" /\ Go(w, IF final THEN "done" ELSE "mark") /\ Touch
    /\ UNCHANGED <<outcome, final, waitedFor, lock, asleep, references, called, freed, ended, saw, told>>
Mark(w) == \* takes the lock and sets WAITED_FOR
    /\ pc[w] = "mark" /\ lock = "free" /\ lock' = w /\ waitedFor' = TRUE
    /\ Go(w, IF final THEN "leave" ELSE "look") /\ Touch
    /\ UNCHANGED <<outcome, final, asleep, references, called, freed, ended, saw, told>>
LookAgain(w) == \* under the lock
    /\ pc[w] = "look" /\ Go(w, IF final THEN "leave" ELSE "sleep") /\ Touch
    /\ UNCHANGED <<outcome, final, waitedFor, lock, asleep, references, called, freed, ended, saw, told>>
Sleep(w) ==
    /\ pc[w] = "sleep" /\ Go(w, "asleep") /\ asleep' = asleep \cup {w} /\ lock' = "free" /\ Touch
    /\ UNCHANGED <<outcome, final, waitedFor, references, called, freed, ended, saw, told>>
Wake(w) ==
    /\ pc[w] = "asleep" /\ w \notin asleep /\ lock = "free" /\ lock' = w /\ Go(w, "look") /\ Touch
    /\ UNCHANGED <<outcome, final, waitedFor, asleep, references, called, freed, ended, saw, told>>
Leave(w) ==
    /\ pc[w] = "leave" /\ Go(w, "done") /\ lock' = "free" /\ Touch
    /\ UNCHANGED <<outcome, final, waitedFor, asleep, references, called, freed, ended, saw, told>>

\* ---- the handle: its users have come back, or have never begun
Idle(p) == pc[p] \in {"decided", "done"}
Destroy ==
    /\ pc["handle"] = "begin" /\ \A p \in Cancellers \cup Waiters : Idle(p)
    /\ Go("handle", "done") /\ Release("handle") /\ Touch
    /\ UNCHANGED <<outcome, final, waitedFor, lock, asleep, called, ended, saw, told>>
StayAway(p) == \* never begins
    /\ pc[p] = "begin" /\ p \in Waiters /\ Go(p, "done")
    /\ UNCHANGED <<outcome, final, waitedFor, lock, asleep, references, called, freed, ended, saw, told, misused>>

Decide(d) == (d = Deadline => pc["work"] = "begin" \/ pc[Deadline] # "begin") /\ (Look(d) \/ Swap(d))
Work == End \/ ((pc[Deadline] # "swap") /\ Decide("work")) \/ SetFinal \/ StoreFinal \/ WakeAll \/ GiveBack
Waiting(w) == LookFinal(w) \/ Mark(w) \/ LookAgain(w) \/ Sleep(w) \/ Wake(w) \/ Leave(w)
Next ==
    \/ Work \/ Call \/ CallReturns \/ Destroy \/ \E d \in Cancellers \cup {Deadline} : Decide(d)
    \/ \E w \in Waiters : Waiting(w) \/ StayAway(w)
Spec ==
    /\ Init /\ [][Next]_vars /\ WF_vars(Work) /\ WF_vars(Call \/ CallReturns) /\ WF_vars(Destroy)
    /\ \A d \in Cancellers \cup {Deadline} : WF_vars(Decide(d))
    /\ \A w \in Waiters : SF_vars(Waiting(w))

\* ---- what must hold
OneOutcome == \A d \in Deciders : told[d] # "nothing" => told[d] = outcome
OutcomeStands == [][outcome # "pending" => outcome' = outcome]_vars
FinalNeedsEnd == final => ended /\ outcome # "pending"
NoLostWakeUp == pc["work"] \in {"release", "done"} => asleep = {} /\ \A w \in Waiters : pc[w] # "sleep"
References == references >= 0 /\ freed = (references = 0)
CalledOnce == called <= 1 /\ (called = 1 => final)
NoUseAfterFree == ~misused
WaitersGoOn == \A w \in Waiters : <>(pc[w] = "done")
FreedInTheEnd == <>(freed /\ (CallsBack => called = 1))
=============================================================================
