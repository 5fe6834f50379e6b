------------------------------ MODULE Turnstile -----------------------------
(* Models src/runtime/turnstile.c: hd_turnstile_enter and hd_turnstile_leave, by which callers with  *)
(* long runs compute in turns.                                                                       *)
(* Promises: BOUND (no lost wake-up, nobody who waits is overtaken), ONCE (a place is handed to one  *)
(* caller, and none is lost).                                                                        *)
(*                                                                                                   *)
(* Grain: what happens while the lock is held is one action; waiting gives the lock back.            *)
(* Abstracted: everything that a caller does inside; a time limit may pass at any moment or never.   *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS Callers, Width, Mutant

VARIABLES inside, queue, granted, asleep, pc
vars == <<inside, queue, granted, asleep, pc>>
Go(c, where) == pc' = [pc EXCEPT ![c] = where]

Init ==
    /\ inside = 0 /\ queue = <<>> /\ granted = [c \in Callers |-> FALSE] /\ asleep = {}
    /\ pc = [c \in Callers |-> "out"]

Enter(c) ==
    /\ pc[c] = "out"
    /\ IF inside < Width
       THEN inside' = inside + 1 /\ Go(c, "inside") /\ UNCHANGED <<queue, granted, asleep>>
       ELSE /\ queue' = Append(queue, c) /\ granted' = [granted EXCEPT ![c] = FALSE]
            /\ asleep' = asleep \cup {c} /\ Go(c, "wait") /\ UNCHANGED inside

Wake(c) ==
    /\ pc[c] = "wait" /\ c \notin asleep
    /\ IF granted[c] \/ Mutant = "no_loop"
       THEN Go(c, "inside") /\ granted' = [granted EXCEPT ![c] = FALSE] /\ UNCHANGED asleep
       ELSE asleep' = asleep \cup {c} /\ UNCHANGED <<granted, pc>>
    /\ UNCHANGED <<inside, queue>>

Expire(c) == \* the time limit; a place that was granted meanwhile is taken
    /\ pc[c] = "wait" /\ asleep' = asleep \ {c}
    /\ IF granted[c] /\ Mutant # "grant_ignored"
       THEN Go(c, "inside") /\ UNCHANGED queue
       ELSE Go(c, "out") /\ queue' = SelectSeq(queue, LAMBDA x : x # c)
    /\ granted' = [granted EXCEPT ![c] = FALSE] /\ UNCHANGED inside

Leave(c) ==
    /\ pc[c] = "inside" /\ Go(c, "out")
    /\ IF queue = <<>> THEN inside' = inside - 1 /\ UNCHANGED <<queue, granted, asleep>>
       ELSE IF Mutant = "place_freed" \* not passed on: whoever wakes or comes may have it
       THEN /\ inside' = inside - 1 /\ asleep' = {} /\ UNCHANGED <<queue, granted>>
       ELSE /\ granted' = [granted EXCEPT ![Head(queue)] = TRUE] /\ queue' = Tail(queue)
            /\ asleep' = (IF Mutant = "signal_one" /\ asleep # {} THEN asleep \ {CHOOSE x \in asleep : TRUE} ELSE {})
            /\ UNCHANGED inside

WakeAtWill(c) == \* without a reason
    /\ c \in asleep /\ asleep' = asleep \ {c} /\ UNCHANGED <<inside, queue, granted, pc>>

Next == \E c \in Callers : Enter(c) \/ Wake(c) \/ Expire(c) \/ Leave(c) \/ WakeAtWill(c)
Spec == Init /\ [][Next]_vars /\ \A c \in Callers : SF_vars(Wake(c)) /\ WF_vars(Leave(c))

\* ---- what must hold
HasPlace(c) == pc[c] = "inside" \/ granted[c]
Law == inside = Cardinality({c \in Callers : HasPlace(c)}) /\ inside <= Width
QueueHoldsWaiters ==
    \A c \in Callers : (\E i \in 1..Len(queue) : queue[i] = c) = (pc[c] = "wait" /\ ~granted[c])
NoPlaceIsFree == queue # <<>> => inside = Width
NoLostWakeUp == \A c \in asleep : ~granted[c]
NobodyStarves == \A c \in Callers : (pc[c] = "wait") ~> (pc[c] # "wait")
=============================================================================
