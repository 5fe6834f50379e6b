------------------------------ MODULE Callbacks ------------------------------
(* Models src/runtime/callbacks.c: hd_callbacks_reserve, _cancel and _post, the callback thread       *)
(* (take_callback, run_callbacks), and both ways to end it: hd_callbacks_destroy by another thread,   *)
(* and by the last callback itself. A callback may come back to the library: the first one takes a    *)
(* place and posts another.                                                                           *)
(* Promises: ONCE (what is posted runs once, in order), BOUND (places are bounded; a callback that is *)
(* posted runs, and the thread ends), SAFE (a callback runs under no lock; behind the one that ended  *)
(* the device nothing is touched).                                                                    *)
(*                                                                                                    *)
(* Grain: one action is what is done under the lock, or a callback. Abstracted: the thread's start    *)
(* (Once); what a callback belongs to (Future).                                                       *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS Posters, Capacity,
    Again,   \* whether the first callback posts another
    Ends,    \* whether the last callback ends the device
    Mutant

More == "more" \* the callback that a callback posts
Thread == "thread"
Nobody == "nobody"

VARIABLES reserved, list, stopping, \* under the lock
    gone,    \* on the thread's own stack
    freed, touched, \* the device has ended; something of it was touched behind that; ghosts
    asleep,  \* the thread sleeps, and was not woken
    posted, ran, \* in order; ghosts
    cur, lock, \* the callback that runs; who has the lock while a callback runs: nobody
    pc
vars == <<reserved, list, stopping, gone, freed, touched, asleep, posted, ran, cur, lock, pc>>
Go(t, where) == pc' = [pc EXCEPT ![t] = where]
Touch == touched' = (touched \/ freed)

Init ==
    /\ reserved = 0 /\ list = <<>> /\ stopping = FALSE /\ gone = FALSE /\ freed = FALSE /\ touched = FALSE
    /\ asleep = FALSE /\ posted = <<>> /\ ran = <<>> /\ cur = Nobody /\ lock = Nobody
    /\ pc = [t \in Posters \cup {More, Thread, "owner"} |-> IF t = Thread THEN "look" ELSE "out"]

\* ---- who submits; `More` is one of them, on the callback thread
Reserve(p) ==
    /\ pc[p] = "out" /\ p # More
    /\ IF reserved < Capacity \/ Mutant = "no_bound" THEN reserved' = reserved + 1 /\ Go(p, "reserved")
       ELSE Go(p, "refused") /\ UNCHANGED reserved
    /\ Touch /\ UNCHANGED <<list, stopping, gone, freed, asleep, posted, ran, cur, lock>>

Cancel(p) == \* nothing came of it
    /\ pc[p] = "reserved" /\ reserved' = (IF Mutant = "place_kept" THEN reserved ELSE reserved - 1) /\ Go(p, "cancelled")
    /\ Touch /\ UNCHANGED <<list, stopping, gone, freed, asleep, posted, ran, cur, lock>>

Post(p) ==
    /\ pc[p] = "reserved" /\ list' = Append(list, p) /\ posted' = Append(posted, p) /\ Go(p, "posted")
    /\ asleep' = (asleep /\ Mutant = "post_not_told")
    /\ Touch /\ UNCHANGED <<reserved, stopping, gone, freed, ran, cur, lock>>

\* ---- the callback thread
Take ==
    /\ pc[Thread] = "look" /\ Touch /\ UNCHANGED <<reserved, stopping, gone, freed, posted, ran>>
    /\ IF list # <<>>
       THEN LET at == IF Mutant = "from_behind" THEN Len(list) ELSE 1 IN
            /\ cur' = list[at] /\ list' = SelectSeq(list, LAMBDA p : p # list[at]) /\ Go(Thread, "run") /\ UNCHANGED asleep
            /\ lock' = IF Mutant = "run_locked" THEN Thread ELSE Nobody
       ELSE /\ UNCHANGED <<cur, list, lock>> /\ asleep' = ~stopping /\ Go(Thread, IF stopping THEN "ended" ELSE "sleep")

Wake ==
    /\ pc[Thread] = "sleep" /\ ~asleep /\ Go(Thread, "look")
    /\ UNCHANGED <<reserved, list, stopping, gone, freed, touched, asleep, posted, ran, cur, lock>>

\* Everything else has ended: nobody has a place but the callback that runs, and nobody will come.
Last == reserved = 1 /\ list = <<>> /\ \A p \in Posters : pc[p] \in {"posted", "refused", "cancelled"}
Run == \* a callback; it may come back with another, or end the device
    /\ pc[Thread] = "run" /\ ran' = Append(ran, cur) /\ UNCHANGED <<list, stopping, asleep, posted, lock>>
    /\ IF Ends /\ Last THEN gone' = TRUE /\ freed' = TRUE ELSE UNCHANGED <<gone, freed>>
    /\ IF Again /\ ran = <<>> /\ ~gone' /\ reserved < Capacity
       THEN reserved' = reserved + 1 /\ pc' = [pc EXCEPT ![Thread] = "look back", ![More] = "reserved"]
       ELSE Go(Thread, "look back") /\ UNCHANGED reserved
    /\ UNCHANGED <<touched, cur>>

GiveBack == \* a look at `gone`, and the place
    /\ pc[Thread] = "look back" /\ pc[More] # "reserved" /\ cur' = Nobody /\ lock' = Nobody
    /\ IF gone /\ Mutant # "gone_ignored" THEN Go(Thread, "ended") /\ UNCHANGED <<reserved, touched, list>>
       ELSE /\ reserved' = reserved - 1 /\ Go(Thread, "look") /\ Touch
            /\ list' = IF Mutant = "left_listed" /\ Len(ran) = 1 THEN <<cur>> \o list ELSE list
    /\ UNCHANGED <<stopping, gone, freed, asleep, posted, ran>>

\* ---- hd_callbacks_destroy, by the last who has the device
Stop ==
    /\ pc["owner"] = "out" /\ ~Ends /\ reserved = 0 /\ \A p \in Posters : pc[p] \in {"posted", "refused", "cancelled"}
    /\ stopping' = TRUE /\ asleep' = (asleep /\ Mutant = "stop_not_told") /\ Go("owner", "join")
    /\ UNCHANGED <<reserved, list, gone, freed, touched, posted, ran, cur, lock>>
Join ==
    /\ pc["owner"] = "join" /\ pc[Thread] = "ended" /\ freed' = TRUE /\ Go("owner", "end")
    /\ UNCHANGED <<reserved, list, stopping, gone, touched, asleep, posted, ran, cur, lock>>

Submits(p) == Reserve(p) \/ Cancel(p) \/ Post(p)
Threads == Take \/ Wake \/ Run \/ GiveBack
Rests == (Ends /\ pc[Thread] = "sleep" /\ posted = ran) \/ freed
Next == (\E p \in Posters \cup {More} : Submits(p)) \/ Threads \/ Stop \/ Join \/ (Rests /\ UNCHANGED vars)
\* All that is asked of the scheduler: while anything can go on, something does.
Spec == Init /\ [][Next]_vars /\ WF_vars((\E p \in Posters \cup {More} : Submits(p)) \/ Threads \/ Stop \/ Join)

\* ---- what must hold
Law == ~freed => reserved = Len(list) + Cardinality({p \in Posters \cup {More} : pc[p] = "reserved"})
                            + (IF pc[Thread] \in {"run", "look back"} THEN 1 ELSE 0)
Bounded == reserved <= Capacity
RanOnce == \A i, k \in DOMAIN ran : i # k => ran[i] # ran[k]
InOrder == \A i \in DOMAIN ran : i \in DOMAIN posted /\ ran[i] = posted[i]
RunsUnlocked == pc[Thread] = "run" => lock = Nobody
NothingBehindTheEnd == ~touched
AllRun == <>(posted = ran /\ Rests)
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go Touch
  hd_callbacks_reserve: Reserve
  hd_callbacks_cancel: Cancel
  hd_callbacks_post: Post
  take_callback: Take Wake
  run_callback: Run
  run_callbacks: GiveBack
  hd_callbacks_destroy: Stop Join

properties: the promise, and what asserts it in the code
  Law: BOUND ONCE.callback-reserved ONCE.callbacks-empty
  Bounded: BOUND ONCE.callback-reserved
  RanOnce: ONCE ONCE.called-once
  InOrder: ONCE ONCE.in-order
  RunsUnlocked: SAFE explorer:rank
  NothingBehindTheEnd: SAFE explorer:freed
  AllRun: BOUND explorer:deadlock
