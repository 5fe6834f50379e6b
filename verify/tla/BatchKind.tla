------------------------------ MODULE BatchKind ------------------------------
(* Models src/graph/batch_kind.c: hd_batch_kinds_get, by threads that look for kinds of requests in a *)
(* list without a lock.                                                                               *)
(* Promises: BITS and ONCE (requests of one kind have one kind object, so that they are stacked with  *)
(* their like only), FLAT (the list is bounded, and what is not listed is its request's), SAFE (a     *)
(* kind that is listed stays).                                                                        *)
(*                                                                                                    *)
(* Grain: one action is one atomic operation on a place, or on the number of kinds that are listed.    *)
(* Abstracted: every key begins to look at the same place, so that they meet.                          *)
EXTENDS Naturals, FiniteSets, TLC

CONSTANTS Threads, Keys, Limit, Mutant

PlaceCount == 2 * Limit + 1
Places == 0..(PlaceCount - 1)
None == "none"

VARIABLES place, \* the kind that stands there: its maker, whose key it has
    count, \* of kinds that are listed, or about to be
    key, at, got, \* of each thread: what it looks for, where, what it has found
    own,    \* of each thread: whether its own kind is there: made, and neither listed nor dropped
    room,   \* of each thread: there was room when it looked at the count; a ghost
    pc
vars == <<place, count, key, at, got, own, room, pc>>
Go(t, where) == pc' = [pc EXCEPT ![t] = where]

Init ==
    /\ place = [p \in Places |-> None] /\ count = 0 /\ key \in [Threads -> Keys] /\ at = [t \in Threads |-> 0]
    /\ got = [t \in Threads |-> None] /\ own = [t \in Threads |-> FALSE] /\ room = [t \in Threads |-> FALSE]
    /\ pc = [t \in Threads |-> "look"]

Has(t, kind) == key[kind] = key[t]
Found(t, kind) == \* another's: its own, if it has made one, is dropped
    /\ got' = [got EXCEPT ![t] = IF Mutant = "second_kept" /\ own[t] THEN t ELSE kind] /\ Go(t, "done")
    /\ own' = [own EXCEPT ![t] = @ /\ Mutant = "not_dropped"]
    /\ count' = IF own[t] /\ Mutant # "count_kept" THEN count - 1 ELSE count

Look(t) == \* at a place
    LET there == place[at[t]] IN
    /\ pc[t] = "look" /\ UNCHANGED <<place, key, room>>
    /\ IF there = None THEN Go(t, IF own[t] THEN "swap" ELSE "count") /\ UNCHANGED <<at, got, own, count>>
       ELSE IF Has(t, there) \/ Mutant = "key_not_asked" THEN Found(t, there) /\ UNCHANGED at
       ELSE at' = [at EXCEPT ![t] = (@ + 1) % PlaceCount] /\ UNCHANGED <<got, own, pc, count>>

Count(t) == \* makes its kind; beyond the limit that is its request's
    /\ pc[t] = "count" /\ own' = [own EXCEPT ![t] = TRUE] /\ UNCHANGED <<place, key, at, count>>
    /\ room' = [room EXCEPT ![t] = Cardinality({p \in Places : place[p] # None}) < Limit]
    /\ IF count >= Limit /\ Mutant # "no_limit" THEN got' = [got EXCEPT ![t] = t] /\ Go(t, "done")
       ELSE Go(t, "add") /\ UNCHANGED got

Add(t) ==
    /\ pc[t] = "add" /\ count' = count + 1 /\ Go(t, "swap") /\ UNCHANGED <<place, key, at, got, own, room>>

Swap(t) == \* NULL becomes the kind, or another was first
    /\ pc[t] = "swap" /\ UNCHANGED <<key, room>>
    /\ IF place[at[t]] = None \/ Mutant = "split"
       THEN /\ place' = [place EXCEPT ![at[t]] = t] /\ got' = [got EXCEPT ![t] = t]
            /\ own' = [own EXCEPT ![t] = FALSE] /\ Go(t, "done") /\ UNCHANGED <<at, count>>
       ELSE Go(t, "look") /\ UNCHANGED <<place, at, got, own, count>>

Ended == \A t \in Threads : pc[t] = "done"
Next == (\E t \in Threads : Look(t) \/ Count(t) \/ Add(t) \/ Swap(t)) \/ (Ended /\ UNCHANGED vars)
Spec == Init /\ [][Next]_vars
Alike == Permutations(Threads) \cup Permutations(Keys)

\* ---- what must hold
Listed(kind) == \E p \in Places : place[p] = kind
OneKind == \* who has found a listed kind has the one that all of his key have found
    \A s, t \in Threads : pc[s] = "done" /\ pc[t] = "done" /\ key[s] = key[t] /\ ~own[s] /\ ~own[t] => got[s] = got[t]
RightKey == \A t \in Threads : got[t] # None => key[got[t]] = key[t]
Bounded == \A t \in Threads : Listed(t) => room[t] \* so only those who look at once pass the limit
Counted == Ended => count = Cardinality({p \in Places : place[p] # None})
NothingLost == \* what is neither listed nor its request's is dropped
    \A t \in Threads : pc[t] = "done" /\ own[t] => got[t] = t /\ ~Listed(t)
Stands == [][\A p \in Places : place[p] # None => place'[p] = place[p]]_vars
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go
  hd_batch_kind_drop: Found
  hd_batch_kinds_get: Look Add Swap
  create_kind: Count

properties: the promise, and what asserts it in the code
  OneKind: ONCE ONCE.one-kind
  RightKey: BITS SAFE.kind SAFE.two-kinds
  Bounded: FLAT FLAT.kinds
  Counted: FLAT ONCE.counted-once
  NothingLost: FLAT explorer:leak
  Stands: SAFE explorer:race
