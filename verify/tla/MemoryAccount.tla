---------------------------- MODULE MemoryAccount ----------------------------
(* Models src/runtime/memory_account.c: hd_memory_account_take and hd_memory_account_give.            *)
(* Promises: FLAT (the total never passes the limit; the kinds' sum is the total where nobody is      *)
(* within, and never more than it; what is given back is not counted any more).                       *)
(*                                                                                                    *)
(* Grain: one action is one atomic operation on the total or on a kind. The loads are relaxed in C,   *)
(* and order no data. Abstracted: two kinds, sizes of a few bytes.                                    *)
EXTENDS Naturals, TLC

CONSTANTS Threads, Limit, Rounds, Mutant

Kinds == {"weights", "arenas"}
Sizes == 1..2

VARIABLES total, kinds,
    saw,             \* of each thread: the total that it has read
    size, kind,      \* of each thread: what it asks for, or has
    round, pc
vars == <<total, kinds, saw, size, kind, round, pc>>
Go(t, where) == pc' = [pc EXCEPT ![t] = where]

Init ==
    /\ total = 0 /\ kinds = [k \in Kinds |-> 0] /\ saw = [t \in Threads |-> 0] /\ size = [t \in Threads |-> 0]
    /\ kind = [t \in Threads |-> "weights"] /\ round = [t \in Threads |-> 0] /\ pc = [t \in Threads |-> "out"]

\* ---- hd_memory_account_take
Begin(t) == \* asks, and reads the total
    /\ pc[t] = "out" /\ round[t] < Rounds /\ round' = [round EXCEPT ![t] = @ + 1] /\ saw' = [saw EXCEPT ![t] = total]
    /\ \E s \in Sizes, k \in Kinds : size' = [size EXCEPT ![t] = s] /\ kind' = [kind EXCEPT ![t] = k]
    /\ Go(t, "look") /\ UNCHANGED <<total, kinds>>

Look(t) ==
    /\ pc[t] = "look" /\ Go(t, IF saw[t] + size[t] > Limit THEN "out" ELSE "swap")
    /\ UNCHANGED <<total, kinds, saw, size, kind, round>>

Swap(t) == \* one try; a failed one looks at the limit again
    /\ pc[t] = "swap" /\ UNCHANGED <<kinds, size, kind, round>>
    /\ IF total = saw[t] \/ Mutant = "split" THEN total' = saw[t] + size[t] /\ UNCHANGED saw /\ Go(t, "count")
       ELSE saw' = [saw EXCEPT ![t] = total] /\ UNCHANGED total /\ Go(t, IF Mutant = "checked_once" THEN "swap" ELSE "look")

Count(t) ==
    /\ pc[t] = "count" /\ kinds' = [kinds EXCEPT ![kind[t]] = @ + size[t]] /\ Go(t, "have")
    /\ UNCHANGED <<total, saw, size, kind, round>>

\* ---- hd_memory_account_give
GiveKind(t) ==
    /\ pc[t] = (IF Mutant = "total_first" THEN "given" ELSE "have") /\ Mutant # "stuck"
    /\ kinds' = [kinds EXCEPT ![kind[t]] = @ - size[t]] /\ Go(t, IF Mutant = "total_first" THEN "out" ELSE "given")
    /\ UNCHANGED <<total, saw, size, kind, round>>

GiveTotal(t) ==
    /\ pc[t] = (IF Mutant = "total_first" THEN "have" ELSE "given")
    /\ total' = (IF Mutant = "total_kept" THEN total ELSE total - size[t])
    /\ Go(t, IF Mutant = "total_first" THEN "given" ELSE "out")
    /\ UNCHANGED <<kinds, saw, size, kind, round>>

Steps(t) == Begin(t) \/ Look(t) \/ Swap(t) \/ Count(t) \/ GiveKind(t) \/ GiveTotal(t)
Ended == \A t \in Threads : pc[t] = "out" /\ round[t] = Rounds
Next == (\E t \in Threads : Steps(t)) \/ (Ended /\ UNCHANGED vars)
Spec == Init /\ [][Next]_vars /\ WF_vars(\E t \in Threads : Steps(t))
Alike == Permutations(Threads)

\* ---- what must hold
Sum == kinds["weights"] + kinds["arenas"]
Within(t) == pc[t] \in {"count", "given"}
WithinLimit == total <= Limit
KindsWithinTotal == Sum <= total
SumIsTotal == (\A t \in Threads : ~Within(t)) => Sum = total
NothingKept == Ended => total = 0 /\ Sum = 0
EverythingEnds == <>Ended
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go
  hd_memory_account_take: Begin Look Swap Count
  hd_memory_account_give: GiveKind GiveTotal

properties: the promise, and what asserts it in the code
  WithinLimit: FLAT FLAT.limit
  KindsWithinTotal: FLAT FLAT.account
  SumIsTotal: FLAT FLAT.total
  NothingKept: FLAT FLAT.all-given-back
  EverythingEnds: BOUND explorer:endless
