------------------------------ MODULE SlotPool ------------------------------
(* Models src/runtime/slot_pool.c: hd_slot_pool_lease and hd_slot_pool_lease_for_run (with try_take   *)
(* and lease_slowly),                                                                                *)
(* hd_slot_pool_return (put_back, serve), hd_slot_pool_forget, hd_slot_pool_close.                   *)
(* Promises: SAFE (one owner a slot; after close no lease), ONCE (a slot is granted and returned     *)
(* once), BOUND (no lost wake-up, no waiter starves).                                                *)
(*                                                                                                   *)
(* Grain: one action is one atomic operation on idle, waiting or closed. What only the lock's holder *)
(* sees (queue, grants) changes together with one of these. A compare-and-swap loop is one action: a *)
(* failed try changes nothing and looks again.                                                       *)
(* Abstracted: a hint may be any slot, so the hinted choice is any idle slot; which slot serve()     *)
(* prefers is left open; time limits may pass at any moment or never; memory is sequentially         *)
(* consistent: the look at idle in try_take must not be done before the add to waiting, and the      *)
(* mutant relaxed_look shows what happens where it is.                                               *)
EXTENDS Naturals, Sequences, FiniteSets, TLC

CONSTANTS Users, Closers, SlotCount,
    Stops,    \* whether runs may be stopped while they wait
    Keepers,  \* the users that hold what they lease for good
    Runs,     \* the users that lease for a run: they may have the spare, too
    Spurious, \* whether waits end without a reason, too
    Mutant

Slots == 1..SlotCount
Spare == SlotCount + 1
All == Slots \cup {Spare}
Allowed(u) == IF u \in Runs \/ Mutant = "spare_for_owners" THEN All ELSE Slots
Threads == Users \cup Closers
Nobody == "nobody"
None == 0

VARIABLES
    free, remembered,  \* the idle word
    waiting, closed,   \* atomics
    lock,              \* who holds the mutex
    queue, granted, closing, served, taken,  \* under the lock; taken: between CAS and grant in serve;
                       \* served: whether serve has, whose turn it is, and what is left for who follows
    asleep,            \* waiting on the condition and not yet woken
    slot,              \* of each user: the slot that it leases
    pc,
    stopped            \* the users whose run is to end

vars == <<free, remembered, waiting, closed, lock, queue, granted, closing, served, taken, asleep, slot, pc, stopped>>

Idle == free \cup remembered
Start == [any |-> FALSE, at |-> 1, left |-> All]
Choices(some) == IF Idle \cap some \cap Slots # {} THEN Idle \cap some \cap Slots ELSE Idle \cap some
Queued(u) == \E i \in 1..Len(queue) : queue[i] = u
IsWaiter(u) == Queued(u) \/ granted[u] # None
Without(q, u) == SelectSeq(q, LAMBDA x : x # u)
Go(t, where) == pc' = [pc EXCEPT ![t] = where]
Take(s) == free' = free \ {s} /\ remembered' = remembered \ {s}

InitWith(leased) == \* user -> slot that it has from the start
    /\ free = All \ {leased[u] : u \in DOMAIN leased} /\ remembered = {} /\ waiting = 0 /\ closed = FALSE
    /\ lock = Nobody /\ queue = <<>> /\ granted = [u \in Users |-> None] /\ closing = 0
    /\ served = Start /\ taken = None /\ asleep = {}
    /\ slot = [u \in Users |-> IF u \in DOMAIN leased THEN leased[u] ELSE None]
    /\ pc = [t \in Threads |-> IF t \in DOMAIN leased THEN "hold" ELSE "out"] /\ stopped = {}
Init == InitWith(<<>>)

\* ---- hd_slot_pool_lease
Begin(u) == \* the first look at closed
    /\ pc[u] = "out" /\ ~closed /\ Go(u, "peek") /\ stopped' = stopped \ {u}
    /\ UNCHANGED <<free, remembered, waiting, closed, lock, queue, granted, closing, served, taken, asleep, slot>>

Peek(u) == \* is anybody waiting?
    /\ pc[u] = "peek"
    /\ IF waiting = 0 \/ Mutant = "overtake" THEN Go(u, "take")
       ELSE \E next \in {"enter", "out"} : Go(u, next) \* out: no time to wait
    /\ UNCHANGED <<free, remembered, waiting, closed, lock, queue, granted, closing, served, taken, asleep, slot>>

TryTake(u) ==
    /\ pc[u] = "take"
    /\ IF Choices(Allowed(u)) = {} THEN /\ \E next \in {"enter", "out"} : Go(u, next)
                                         /\ UNCHANGED <<free, remembered, slot>>
       ELSE \E s \in Choices(Allowed(u)) : Take(s) /\ slot' = [slot EXCEPT ![u] = s] /\ Go(u, "check")
    /\ UNCHANGED <<waiting, closed, lock, queue, granted, closing, served, taken, asleep>>

Enter(u) == \* lease_slowly: lock and join the queue
    /\ pc[u] = "enter" /\ lock = Nobody /\ lock' = u
    /\ queue' = Append(queue, u) /\ served' = Start
    /\ Go(u, IF Mutant = "relaxed_look" /\ Idle \cap Slots = {} THEN "announce_blind" ELSE "announce")
    /\ UNCHANGED <<free, remembered, waiting, closed, granted, closing, taken, asleep, slot>>

Announce(u) ==
    /\ pc[u] \in {"announce", "announce_blind"} /\ waiting' = waiting + 1
    /\ Go(u, IF pc[u] = "announce" THEN "serve" ELSE "look")
    /\ UNCHANGED <<free, remembered, closed, lock, queue, granted, closing, served, taken, asleep, slot>>

Look(u) == \* the head of lease_slowly's loop
    /\ pc[u] = "look"
    /\ \/ /\ granted[u] # None
          /\ slot' = [slot EXCEPT ![u] = granted[u]] /\ granted' = [granted EXCEPT ![u] = None]
          /\ lock' = Nobody /\ Go(u, "check") /\ UNCHANGED <<queue, waiting, asleep>>
       \/ /\ granted[u] = None /\ closed
          /\ queue' = Without(queue, u) /\ waiting' = waiting - 1
          /\ lock' = Nobody /\ Go(u, "out") /\ UNCHANGED <<granted, slot, asleep>>
       \/ /\ granted[u] = None /\ ~closed
          /\ asleep' = asleep \cup {u} /\ lock' = Nobody /\ Go(u, "sleep")
          /\ UNCHANGED <<granted, slot, queue, waiting>>
    /\ UNCHANGED <<free, remembered, closed, closing, served, taken>>

Wake(u) ==
    /\ pc[u] = "sleep" /\ u \notin asleep /\ lock = Nobody /\ lock' = u /\ Go(u, "look")
    /\ UNCHANGED <<free, remembered, waiting, closed, queue, granted, closing, served, taken, asleep, slot>>

Expire(u) == \* the time limit passes: hd_condition_wait_until returns false
    /\ pc[u] = "sleep" /\ lock = Nobody /\ asleep' = asleep \ {u}
    /\ IF granted[u] # None THEN /\ lock' = u /\ Go(u, "look") /\ UNCHANGED <<queue, waiting>>
       ELSE /\ queue' = Without(queue, u) /\ waiting' = waiting - 1 /\ Go(u, "out") /\ UNCHANGED lock
    /\ UNCHANGED <<free, remembered, closed, granted, closing, served, taken, slot>>

Tick(u) == \* a wait that may be stopped ends every few milliseconds, for a look
    /\ pc[u] = "sleep" /\ lock = Nobody /\ u \in stopped /\ Mutant # "stop_slept_over" /\ asleep' = asleep \ {u}
    /\ IF granted[u] # None /\ Mutant # "stop_drops_grant"
       THEN lock' = u /\ Go(u, "look") /\ UNCHANGED <<queue, waiting>>
       ELSE /\ IF Mutant = "stop_stays_in_line" THEN UNCHANGED <<queue, waiting>>
               ELSE queue' = Without(queue, u) /\ waiting' = IF granted[u] # None THEN waiting ELSE waiting - 1
            /\ Go(u, "out") /\ UNCHANGED lock
    /\ UNCHANGED <<free, remembered, closed, granted, closing, served, taken, slot>>

StopComes(u) == \* from anywhere, at any time
    /\ Stops /\ u \in Runs /\ pc[u] # "out" /\ stopped' = stopped \cup {u}
    /\ UNCHANGED <<free, remembered, waiting, closed, lock, queue, granted, closing, served, taken, asleep, slot, pc>>

Check(u) == \* the second check
    /\ pc[u] = "check"
    /\ Go(u, IF closed /\ Mutant # "no_second_check" THEN "back" ELSE "hold")
    /\ UNCHANGED <<free, remembered, waiting, closed, lock, queue, granted, closing, served, taken, asleep, slot>>

EndRun(u) ==
    /\ pc[u] = "hold" /\ u \notin Keepers /\ Go(u, "back")
    /\ UNCHANGED <<free, remembered, waiting, closed, lock, queue, granted, closing, served, taken, asleep, slot>>

\* ---- hd_slot_pool_return
PutBack(u) ==
    /\ pc[u] = "back" /\ slot' = [slot EXCEPT ![u] = None]
    /\ remembered' = remembered \cup {slot[u]}
    /\ Go(u, IF Mutant = "no_serve" THEN "out" ELSE "any_waiting")
    /\ UNCHANGED <<free, waiting, closed, lock, queue, granted, closing, served, taken, asleep>>

AnyWaiting(u) ==
    /\ pc[u] = "any_waiting"
    /\ Go(u, IF waiting # 0 THEN "relock" ELSE IF Mutant = "no_close_look" THEN "out" ELSE "any_close")
    /\ UNCHANGED <<free, remembered, waiting, closed, lock, queue, granted, closing, served, taken, asleep, slot>>

AnyClose(u) ==
    /\ pc[u] = "any_close" /\ Go(u, IF closed THEN "relock" ELSE "out")
    /\ UNCHANGED <<free, remembered, waiting, closed, lock, queue, granted, closing, served, taken, asleep, slot>>

Relock(u) ==
    /\ pc[u] = "relock" /\ lock = Nobody /\ lock' = u /\ served' = Start /\ Go(u, "serve")
    /\ UNCHANGED <<free, remembered, waiting, closed, queue, granted, closing, taken, asleep, slot>>

\* ---- serve, by a waiter or by one who returns
Served == served.at > Len(queue) \/ served.left = {}
Offered == Choices(Allowed(queue[served.at]) \cap served.left)

ServeTake(u) ==
    /\ pc[u] = "serve" /\ ~Served /\ Offered # {}
    /\ \E s \in Offered : Take(s) /\ taken' = s
    /\ Go(u, "grant")
    /\ UNCHANGED <<waiting, closed, lock, queue, granted, closing, served, asleep, slot>>

ServeSkip(u) == \* there is nothing for this one; behind it only what it would not have
    /\ pc[u] = "serve" /\ ~Served /\ Offered = {}
    /\ served' = [served EXCEPT !.at = @ + 1,
                  !.left = IF Mutant = "spare_kept_back" THEN {} ELSE @ \ Allowed(queue[served.at])]
    /\ UNCHANGED <<free, remembered, waiting, closed, lock, queue, granted, closing, taken, asleep, slot, pc>>

ServeGrant(u) ==
    /\ pc[u] = "grant"
    /\ granted' = [granted EXCEPT ![queue[served.at]] = taken] /\ taken' = None
    /\ queue' = Without(queue, queue[served.at])
    /\ waiting' = (IF Mutant = "grant_counted" THEN waiting ELSE waiting - 1)
    /\ served' = [served EXCEPT !.any = TRUE] /\ Go(u, "serve")
    /\ UNCHANGED <<free, remembered, closed, lock, closing, asleep, slot>>

ServeEnd(u) ==
    /\ pc[u] = "serve" /\ Served /\ served' = Start
    /\ asleep' = IF (served.any \/ closing > 0) /\ Mutant # "no_broadcast" THEN {} ELSE asleep
    /\ IF IsWaiter(u) THEN Go(u, "look") /\ UNCHANGED lock ELSE Go(u, "out") /\ lock' = Nobody
    /\ UNCHANGED <<free, remembered, waiting, closed, queue, granted, closing, taken, slot>>

\* ---- hd_slot_pool_forget, by a thread that ends
Forget(u) ==
    /\ pc[u] = "out" /\ Mutant # "blind_forget"
    /\ \E s \in remembered : remembered' = remembered \ {s} /\ free' = free \cup {s}
    /\ UNCHANGED <<waiting, closed, lock, queue, granted, closing, served, taken, asleep, slot, pc>>

BlindForget(u) == \* mutant: load and store in place of compare and swap
    /\ Mutant = "blind_forget"
    /\ \/ /\ pc[u] = "out" /\ \E s \in remembered : slot' = [slot EXCEPT ![u] = s]
          /\ Go(u, "forget") /\ UNCHANGED <<free, remembered>>
       \/ /\ pc[u] = "forget" /\ free' = free \cup {slot[u]} /\ remembered' = remembered \ {slot[u]}
          /\ slot' = [slot EXCEPT ![u] = None] /\ Go(u, "out")
    /\ UNCHANGED <<waiting, closed, lock, queue, granted, closing, served, taken, asleep>>

\* ---- hd_slot_pool_close
Close(c) ==
    /\ pc[c] = "out" /\ closed' = TRUE /\ Go(c, "close_lock")
    /\ UNCHANGED <<free, remembered, waiting, lock, queue, granted, closing, served, taken, asleep, slot>>

CloseLock(c) ==
    /\ pc[c] = "close_lock" /\ lock = Nobody /\ lock' = c /\ closing' = closing + 1
    /\ asleep' = {} /\ Go(c, "close_look")
    /\ UNCHANGED <<free, remembered, waiting, closed, queue, granted, served, taken, slot>>

CloseLook(c) == \* all_returned
    /\ pc[c] = "close_look" /\ lock' = Nobody
    /\ IF Idle = All THEN closing' = closing - 1 /\ Go(c, "closed") /\ UNCHANGED asleep
       ELSE asleep' = asleep \cup {c} /\ Go(c, "close_sleep") /\ UNCHANGED closing
    /\ UNCHANGED <<free, remembered, waiting, closed, queue, granted, served, taken, slot>>

CloseWake(c) ==
    /\ pc[c] = "close_sleep" /\ c \notin asleep /\ lock = Nobody /\ lock' = c /\ Go(c, "close_look")
    /\ UNCHANGED <<free, remembered, waiting, closed, queue, granted, closing, served, taken, asleep, slot>>

CloseExpire(c) ==
    /\ pc[c] = "close_sleep" /\ lock = Nobody /\ asleep' = asleep \ {c} /\ closing' = closing - 1
    /\ Go(c, IF Idle = All THEN "closed" ELSE "out")
    /\ UNCHANGED <<free, remembered, waiting, closed, lock, queue, granted, served, taken, slot>>

WakeAtWill(t) ==
    /\ Spurious /\ t \in asleep /\ asleep' = asleep \ {t}
    /\ UNCHANGED <<free, remembered, waiting, closed, lock, queue, granted, closing, served, taken, slot, pc>>

Locks(t) ==
    /\ IF t \in Users THEN Enter(t) \/ Wake(t) \/ Tick(t) \/ Relock(t) ELSE CloseLock(t) \/ CloseWake(t)
    /\ UNCHANGED stopped
Steps(t) ==
    /\ UNCHANGED stopped
    /\ IF t \in Users
       THEN Peek(t) \/ TryTake(t) \/ Announce(t) \/ Look(t) \/ Check(t) \/ EndRun(t) \/ PutBack(t)
            \/ AnyWaiting(t) \/ AnyClose(t) \/ ServeTake(t) \/ ServeSkip(t) \/ ServeGrant(t) \/ ServeEnd(t)
       ELSE CloseLook(t)
Chance(t) == \* what need not happen
    \/ t \in Users /\ (Begin(t) \/ StopComes(t) \/ ((Expire(t) \/ Forget(t) \/ BlindForget(t)) /\ UNCHANGED stopped))
    \/ t \in Closers /\ (Close(t) \/ CloseExpire(t)) /\ UNCHANGED stopped
    \/ WakeAtWill(t) /\ UNCHANGED stopped
Closed == closed /\ (\A u \in Users : pc[u] = "out") /\ (\A c \in Closers : pc[c] = "closed") /\ UNCHANGED vars

Next == (\E t \in Threads : Locks(t) \/ Steps(t) \/ Chance(t)) \/ Closed
Spec == Init /\ [][Next]_vars /\ \A t \in Threads : WF_vars(Steps(t)) /\ SF_vars(Locks(t))
Alike == Permutations(Users \ Runs) \cup Permutations(Runs)

\* ---- what must hold
Leased == {slot[u] : u \in Users} \cup {granted[u] : u \in Users} \cup {taken}
Count == Cardinality({u \in Users : slot[u] # None}) + Cardinality({u \in Users : granted[u] # None})
         + (IF taken # None THEN 1 ELSE 0)
Law == \* free + remembered + leased = N and the spare, nothing twice
    /\ free \cap remembered = {} /\ Idle \cap Leased = {}
    /\ Cardinality(Idle) + Count = SlotCount + 1 /\ Idle \cup (Leased \ {None}) = All
SpareForRuns == \A u \in Users \ Runs : slot[u] # Spare /\ granted[u] # Spare
WaitingCounts == lock = Nobody => waiting = Len(queue)
ClosedMeansNone == (\E c \in Closers : pc[c] = "closed") => \A u \in Users : pc[u] # "hold"
Resting == {"out", "hold", "sleep", "close_sleep", "closed"}
NoLostWakeUp == \* when nobody is on his way, nobody waits for what is there
    (\A t \in Threads : pc[t] \in Resting /\ (pc[t] \in {"sleep", "close_sleep"} => t \in asleep))
    => /\ \A i \in 1..Len(queue) : Idle \cap Allowed(queue[i]) = {} /\ ~closed
       /\ \A u \in Users : granted[u] = None
       /\ \A c \in Closers : pc[c] = "close_sleep" => Idle # All
NobodyStarves == \A u \in Users : (pc[u] = "sleep") ~> (pc[u] \in {"hold", "out"})
RunsGetOn == \* though no slot but the spare ever comes
    \A u \in Runs : (pc[u] = "sleep") ~> (pc[u] \in {"hold", "out"})
StoppedEnds == \* though nobody gives a slot back
    \A u \in Runs : (pc[u] = "sleep" /\ u \in stopped) ~> pc[u] # "sleep"
CloseEnds == \A c \in Closers : (pc[c] = "close_sleep") ~> (pc[c] \in {"closed", "out"})
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go Take Locks Steps Chance
  lease: Begin Peek Check
  try_take: TryTake
  lease_slowly: Enter Announce Look Wake Expire Tick
  any time: StopComes WakeAtWill
  the run: EndRun
  hd_slot_pool_return: AnyWaiting AnyClose Relock
  put_back: PutBack
  serve: ServeTake ServeSkip ServeEnd
  leave_queue: ServeGrant
  hd_slot_pool_forget: Forget
  a mutant: BlindForget
  hd_slot_pool_close all_returned: Close CloseLock CloseLook CloseWake CloseExpire
  the end: Closed

properties: the promise, and what asserts it in the code
  Law: ONCE ONCE.slots ONCE.slot-leased-once ONCE.slot-returned-once ONCE.slot-returned-leased SAFE.slot-free-or-remembered
  SpareForRuns: BOUND SAFE.spare-is-for-runs
  WaitingCounts: BOUND explorer:deadlock
  ClosedMeansNone: SAFE SAFE.stays-closed
  NoLostWakeUp: BOUND BOUND.served explorer:deadlock
  NobodyStarves: BOUND BOUND.first-come-first-served BOUND.served
  RunsGetOn: BOUND BOUND.run-gets-on
  StoppedEnds: BOUND ONCE.stopped
  CloseEnds: BOUND BOUND.close
