------------------------------- MODULE Reclaim -------------------------------
(* Models src/runtime/reclaim.c: hd_reclaim_enter, hd_reclaim_leave, hd_reclaim_run (clear_runners), hd_reclaim_remove, *)
(* and their users: a run on a runner's lane (hd_model_run_on), a run that reclaims, a model's end.  *)
(* Promises: SAFE (a lane has one owner), REUSE (no source is asked when it is gone), BOUND (nobody  *)
(* waits for good).                                                                                  *)
(* Grain: one action is one access to the word of runners, or taking or dropping the lock, or the    *)
(* beginning or the end of what is done to a lane.                                                   *)
(* Abstracted: streams' lanes, which are leased (SlotPool); plan caches (PlanCache).                 *)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS Runners, Reclaimers, \* a reclaimer may be a runner, too: its own lane is then in use
    Source, Runs, Mutant

Nobody == "nobody"

VARIABLES
    busy, clearing, \* the word: runners that compute, CLEARING
    lock,
    seen,    \* of who clears: the lanes that it takes
    users,   \* of each runner's lane: who does something to it; a ghost
    listed, gone, asked, \* the source; whether it was asked when it was gone
    left,    \* of each thread: what it may still do
    pc

vars == <<busy, clearing, lock, seen, users, listed, gone, asked, left, pc>>
Threads == Runners \cup Reclaimers \cup {Source}
Go(t, where) == pc' = [pc EXCEPT ![t] = where]

Init ==
    /\ busy = {} /\ clearing = FALSE /\ lock = Nobody /\ seen = [t \in Threads |-> {}]
    /\ users = [r \in Runners |-> {}] /\ listed = TRUE /\ gone = FALSE /\ asked = FALSE
    /\ left = [t \in Threads |-> Runs] /\ pc = [t \in Threads |-> "out"]

\* ---- a run on a runner's lane
Look(r) == \* the mutant looks before it sets its bit
    /\ Mutant = "bit_set_late" /\ pc[r] = "out" /\ left[r] > 0 /\ left' = [left EXCEPT ![r] = @ - 1]
    /\ Go(r, IF clearing THEN "await" ELSE "set")
    /\ UNCHANGED <<busy, clearing, lock, seen, users, listed, gone, asked>>

Set(r) ==
    /\ pc[r] = "set" /\ busy' = busy \cup {r} /\ Go(r, "use")
    /\ UNCHANGED <<clearing, lock, seen, users, listed, gone, asked, left>>

Enter(r) ==
    /\ Mutant # "bit_set_late" /\ pc[r] = "out" /\ left[r] > 0 /\ left' = [left EXCEPT ![r] = @ - 1]
    /\ busy' = busy \cup {r}
    /\ Go(r, IF clearing /\ Mutant # "clearing_ignored" THEN "await" ELSE "use")
    /\ UNCHANGED <<clearing, lock, seen, users, listed, gone, asked>>

Await(r) == \* the lock is taken and dropped; by now whoever cleared has ended
    /\ pc[r] = "await" /\ lock = Nobody /\ busy' = busy \cup {r} /\ Go(r, "use")
    /\ UNCHANGED <<clearing, lock, seen, users, listed, gone, asked, left>>

Use(r) ==
    /\ pc[r] = "use" /\ users' = [users EXCEPT ![r] = @ \cup {r}] /\ Go(r, "used")
    /\ UNCHANGED <<busy, clearing, lock, seen, listed, gone, asked, left>>

Used(r) == \* the run ends, or has run out of memory and reclaims
    /\ pc[r] = "used" /\ users' = [users EXCEPT ![r] = @ \ {r}]
    /\ Go(r, IF r \in Reclaimers THEN "lock" ELSE "leave")
    /\ UNCHANGED <<busy, clearing, lock, seen, listed, gone, asked, left>>

Leave(r) ==
    /\ pc[r] = "leave" /\ busy' = busy \ {r} /\ Go(r, "out")
    /\ UNCHANGED <<clearing, lock, seen, users, listed, gone, asked, left>>

\* ---- hd_reclaim_run
Begin(t) ==
    /\ t \in Reclaimers \ Runners /\ pc[t] = "out" /\ left[t] > 0 /\ left' = [left EXCEPT ![t] = @ - 1] /\ Go(t, "lock")
    /\ UNCHANGED <<busy, clearing, lock, seen, users, listed, gone, asked>>

Lock(t) ==
    /\ pc[t] = "lock" /\ lock = Nobody /\ lock' = t /\ Go(t, "mark")
    /\ UNCHANGED <<busy, clearing, seen, users, listed, gone, asked, left>>

Mark(t) ==
    /\ pc[t] = "mark" /\ clearing' = TRUE /\ Go(t, "clear")
    /\ seen' = [seen EXCEPT ![t] = (Runners \ busy) \cup ({t} \cap Runners)
                                   \cup (IF Mutant = "busy_cleared" THEN busy ELSE {})]
    /\ UNCHANGED <<busy, lock, users, listed, gone, asked, left>>

Clear(t) ==
    /\ pc[t] = "clear" /\ Go(t, "cleared") /\ asked' = (asked \/ (listed /\ gone))
    /\ users' = [r \in Runners |-> IF r \in seen[t] THEN users[r] \cup {t} ELSE users[r]]
    /\ UNCHANGED <<busy, clearing, lock, seen, listed, gone, left>>

Cleared(t) ==
    /\ pc[t] = "cleared" /\ Go(t, "unmark") /\ users' = [r \in Runners |-> users[r] \ {t}]
    /\ lock' = (IF Mutant = "unlocked_early" THEN Nobody ELSE lock)
    /\ UNCHANGED <<busy, clearing, seen, listed, gone, asked, left>>

Unmark(t) ==
    /\ pc[t] = "unmark" /\ clearing' = FALSE /\ Go(t, "unlock")
    /\ UNCHANGED <<busy, lock, seen, users, listed, gone, asked, left>>

Unlock(t) ==
    /\ pc[t] = "unlock" /\ lock' = (IF Mutant = "lock_kept" THEN lock ELSE Nobody) /\ Go(t, IF t \in Runners THEN "leave" ELSE "out")
    /\ UNCHANGED <<busy, clearing, seen, users, listed, gone, asked, left>>

\* ---- a model's end
Remove ==
    /\ pc[Source] = "out" /\ (lock = Nobody \/ Mutant = "freed_first") /\ Go(Source, "end")
    /\ IF Mutant = "freed_first" THEN gone' = TRUE /\ listed' = listed ELSE listed' = FALSE /\ gone' = gone
    /\ UNCHANGED <<busy, clearing, lock, seen, users, asked, left>>

End ==
    /\ pc[Source] = "end" /\ Go(Source, "done") /\ gone' = TRUE /\ listed' = FALSE
    /\ UNCHANGED <<busy, clearing, lock, seen, users, asked, left>>

Done == (\A t \in Threads : pc[t] \in {"out", "done"} /\ (left[t] = 0 \/ t = Source)) /\ pc[Source] = "done" /\ UNCHANGED vars

Next ==
    \/ \E r \in Runners : Look(r) \/ Set(r) \/ Enter(r) \/ Await(r) \/ Use(r) \/ Used(r) \/ Leave(r)
    \/ \E t \in Reclaimers : Begin(t) \/ Lock(t) \/ Mark(t) \/ Clear(t) \/ Cleared(t) \/ Unmark(t) \/ Unlock(t)
    \/ Remove \/ End \/ Done

Spec == Init /\ [][Next]_vars /\ WF_vars(Next)

OneOwner == \A r \in Runners : Cardinality(users[r]) <= 1
NeverAskedWhenGone == ~asked
ClearsUnderLock == clearing => lock # Nobody
AllEnd == <>(\A t \in Threads : pc[t] \in {"out", "done"} /\ (left[t] = 0 \/ t = Source))
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go
  hd_reclaim_enter: Look Set Enter Await
  the run: Use Used
  hd_reclaim_leave: Leave
  hd_reclaim_run reclaim_lock reclaim_unlock: Begin Lock Unlock
  clear_runners: Mark Unmark
  clear_lane: Clear Cleared
  hd_reclaim_remove: Remove End
  the end: Done

properties: the promise, and what asserts it in the code
  OneOwner: SAFE explorer:race
  NeverAskedWhenGone: REUSE SAFE.listed
  ClearsUnderLock: SAFE explorer:race
  AllEnd: BOUND explorer:deadlock
