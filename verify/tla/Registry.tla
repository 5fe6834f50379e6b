------------------------------ MODULE Registry -------------------------------
(* Models src/runtime/registry.c: hd_registry_add, hd_registry_remove, hd_registry_forget_slot, and  *)
(* their users: remember_slot, forget_slot, hd_device_open and hd_device_destroy in                  *)
(* src/runtime/device.c, hd_thread_call_at_exit in src/base/thread.c.                                *)
(* Promises: REUSE (a thread that ends touches no device that is gone), ONCE (it is told of its end  *)
(* once for each time that it asked), SAFE (it forgets its own slot alone, and so does not keep it), *)
(* BOUND (no thread and no device is kept from ending).                                              *)
(*                                                                                                   *)
(* Grain: one action is one access to an entry of the list or to a device's pool, or taking or       *)
(* dropping the process's lock; what is a thread's own changes together with one of these. A slot is *)
(* leased, given back and forgotten in one action each, as SlotPool shows.                           *)
(* Abstracted: a thread ends with at most one destructor of the program's that uses the library once *)
(* more; memory for the key's value is never missing (without it nobody is told, and the slot stays  *)
(* remembered: any thread may take it).                                                              *)
EXTENDS Naturals, Sequences, TLC

CONSTANTS Threads, Devices, SlotCount,
    Runs, \* of each thread at most
    Mutant

Slots == 1..SlotCount
Nobody == "nobody"
None == 0
NoDevice == "none"

VARIABLES
    list, lock,         \* the open devices, in order; the process's lock
    state,              \* of each device: "unborn", "made", "open", "freed"
    references,         \* of each device: its owner's and those of the runs
    idle, remembered,   \* of each device's pool
    wrong,              \* what went wrong; a ghost
    by, had,            \* of each slot: who gave it back last; of each thread: the slot it had last; ghosts
    memory,             \* of each thread: the device and the slot that it remembers
    told,               \* of each thread: told_at_exit
    key,                \* of each thread: the value of the exit key is set
    used, at, again,    \* of each thread: runs, its place in the list, the program's own destructor is to come
    on, slot, pc

poolVars == <<idle, remembered, by, had>>
ownVars == <<memory, told, key, used, again>>
vars == <<list, lock, state, references, poolVars, wrong, ownVars, at, on, slot, pc>>
Go(t, where) == pc' = [pc EXCEPT ![t] = where]
Touch(d) == wrong' = wrong \cup (IF state[d] = "freed" THEN {"touched"} ELSE {})
Alive(d) == state[d] = "open" /\ references[d] > 0
Own == [t \in Threads |-> <<NoDevice, None>>]

Init ==
    /\ list = <<>> /\ lock = Nobody /\ state = [d \in Devices |-> "unborn"]
    /\ references = [d \in Devices |-> 0]
    /\ idle = [d \in Devices |-> Slots] /\ remembered = [d \in Devices |-> {}] /\ wrong = {}
    /\ by = [d \in Devices |-> [s \in Slots |-> Nobody]]
    /\ memory = Own /\ had = Own /\ told = [t \in Threads |-> FALSE] /\ key = [t \in Threads |-> FALSE]
    /\ used = [t \in Threads |-> 0] /\ at = [t \in Threads |-> 0] /\ again = [t \in Threads |-> TRUE]
    /\ on = [t \in Threads |-> NoDevice] /\ slot = [t \in Threads |-> None]
    /\ pc = [t \in Threads \cup Devices |-> "out"]

\* ---- hd_device_open and its owner, named as the device
Make(d) ==
    /\ pc[d] = "out" /\ state' = [state EXCEPT ![d] = "made"]
    /\ references' = [references EXCEPT ![d] = 1] /\ Go(d, "add")
    /\ UNCHANGED <<list, lock, poolVars, wrong, ownVars, at, on, slot>>

Add(d) == \* one critical section: nobody else sees the lock dropped in between
    /\ pc[d] = "add" /\ lock = Nobody /\ list' = <<d>> \o list /\ state' = [state EXCEPT ![d] = "open"]
    /\ Go(d, "own") /\ UNCHANGED <<lock, references, poolVars, wrong, ownVars, at, on, slot>>

\* ---- hd_device_destroy: by the owner, or by a run that had the last reference
Drop(x, d, then) ==
    /\ references' = [references EXCEPT ![d] = @ - 1] /\ Touch(d)
    /\ Go(x, IF references[d] = 1 THEN (IF Mutant = "removed_late" THEN "free" ELSE "remove") ELSE then)

GiveHandle(d) ==
    /\ pc[d] = "own" /\ Drop(d, d, "end")
    /\ UNCHANGED <<list, lock, state, poolVars, ownVars, at, on, slot>>

Ending(x) == IF x \in Devices THEN x ELSE on[x]
Then(x) == IF x \in Devices THEN "end" ELSE "rest"
Without(d) == SelectSeq(list, LAMBDA e : e # d)
Remove(x) ==
    /\ pc[x] = "remove" /\ (lock = Nobody \/ Mutant = "remove_unlocked") /\ list' = Without(Ending(x))
    /\ wrong' = wrong \cup (IF \E i \in 1..Len(list) : state[list[i]] = "freed" THEN {"touched"} ELSE {})
    /\ Go(x, IF Mutant = "removed_late" THEN Then(x) ELSE "free")
    /\ UNCHANGED <<lock, state, references, poolVars, ownVars, at, on, slot>>

Free(x) ==
    /\ pc[x] = "free" /\ state' = [state EXCEPT ![Ending(x)] = "freed"] /\ Touch(Ending(x))
    /\ Go(x, IF Mutant = "removed_late" THEN "remove" ELSE Then(x))
    /\ UNCHANGED <<list, lock, references, poolVars, ownVars, at, on, slot>>

\* ---- a run: hd_device_lease with remember_slot, hd_device_return
Lease(t, d) ==
    /\ pc[t] \in {"out", "destructor"} /\ used[t] < Runs /\ Alive(d) /\ pc[d] = "own" /\ idle[d] # {}
    /\ \E s \in idle[d] :
        /\ memory[t][1] = d /\ memory[t][2] \in idle[d] => s = memory[t][2] \* the wish
        /\ idle' = [idle EXCEPT ![d] = @ \ {s}] /\ remembered' = [remembered EXCEPT ![d] = @ \ {s}]
        /\ slot' = [slot EXCEPT ![t] = s] /\ memory' = [memory EXCEPT ![t] = <<d, s>>]
        /\ had' = [had EXCEPT ![t] = <<d, s>>]
    /\ references' = [references EXCEPT ![d] = @ + 1]
    /\ on' = [on EXCEPT ![t] = d] /\ used' = [used EXCEPT ![t] = @ + 1] /\ Touch(d)
    /\ told' = [told EXCEPT ![t] = TRUE]
    /\ key' = [key EXCEPT ![t] = @ \/ ~told[t]] \* hd_thread_call_at_exit
    /\ again' = [again EXCEPT ![t] = @ /\ pc[t] = "out"]
    /\ Go(t, IF pc[t] = "out" THEN "run" ELSE "late_run") /\ UNCHANGED <<list, lock, state, by, at>>

Return(t) ==
    LET d == on[t]
    IN  /\ pc[t] \in {"run", "late_run"} /\ Touch(d) /\ slot' = [slot EXCEPT ![t] = None]
        /\ idle' = [idle EXCEPT ![d] = @ \cup {slot[t]}]
        /\ remembered' = [remembered EXCEPT ![d] = @ \cup {slot[t]}]
        /\ by' = [by EXCEPT ![d][slot[t]] = t]
        /\ Go(t, "drop") /\ UNCHANGED <<list, lock, state, references, had, ownVars, at, on>>

DropRun(t) ==
    /\ pc[t] = "drop" /\ Drop(t, on[t], "rest")
    /\ UNCHANGED <<list, lock, state, poolVars, ownVars, at, on, slot>>

Rest(t) == \* in a destructor of the program's, or not
    /\ pc[t] = "rest" /\ on' = [on EXCEPT ![t] = NoDevice] /\ Go(t, IF again[t] THEN "out" ELSE "ending")
    /\ UNCHANGED <<list, lock, state, references, poolVars, wrong, ownVars, at, slot>>

\* ---- the thread ends: its destructors, again while a key has a value
BeginEnd(t) ==
    /\ pc[t] = "out" /\ Go(t, "ending")
    /\ UNCHANGED <<list, lock, state, references, poolVars, wrong, ownVars, at, on, slot>>

CallExit(t) == \* call_exit_function, forget_slot up to the lock
    /\ pc[t] = "ending" /\ key[t] /\ key' = [key EXCEPT ![t] = Mutant = "asks_again"]
    /\ told' = IF Mutant = "told_kept" THEN told ELSE [told EXCEPT ![t] = FALSE]
    /\ Go(t, "forget_lock")
    /\ UNCHANGED <<list, lock, state, references, poolVars, wrong, memory, used, again, at, on, slot>>

Destructor(t) == \* the program's
    /\ pc[t] = "ending" /\ again[t] /\ Go(t, "destructor")
    /\ UNCHANGED <<list, lock, state, references, poolVars, wrong, ownVars, at, on, slot>>

NoRun(t) ==
    /\ pc[t] = "destructor" /\ again' = [again EXCEPT ![t] = FALSE] /\ Go(t, "ending")
    /\ UNCHANGED <<list, lock, state, references, poolVars, wrong, memory, told, key, used, at, on, slot>>

Gone(t) ==
    /\ pc[t] = "ending" /\ ~key[t] /\ ~again[t] /\ Go(t, "end")
    /\ UNCHANGED <<list, lock, state, references, poolVars, wrong, ownVars, at, on, slot>>

\* ---- hd_registry_forget_slot
ForgetLock(t) ==
    /\ pc[t] = "forget_lock" /\ lock = Nobody /\ lock' = t /\ at' = [at EXCEPT ![t] = 1] /\ Go(t, "look")
    /\ UNCHANGED <<list, state, references, poolVars, wrong, ownVars, on, slot>>

Look(t) == \* at the next entry
    /\ pc[t] = "look"
    /\ IF at[t] > Len(list)
       THEN /\ IF Mutant = "lock_kept" THEN UNCHANGED lock ELSE lock' = Nobody
            /\ Go(t, "forgotten") /\ UNCHANGED <<wrong, at, on>>
       ELSE LET d == list[at[t]]
            IN  /\ Touch(d)
                /\ IF d = memory[t][1] \/ Mutant = "serial_ignored"
                   THEN /\ on' = [on EXCEPT ![t] = d] /\ Go(t, "forget") /\ UNCHANGED at
                        /\ lock' = IF Mutant = "found_then_unlocked" THEN Nobody ELSE lock
                   ELSE /\ at' = [at EXCEPT ![t] = @ + 1] /\ UNCHANGED <<lock, on, pc>>
    /\ UNCHANGED <<list, state, references, poolVars, ownVars, slot>>

Forget(t) == \* hd_slot_pool_forget, under the lock still
    LET d == on[t]
    IN  /\ pc[t] = "forget"
        /\ wrong' = wrong \cup (IF state[d] = "freed" THEN {"touched"} ELSE {})
                          \cup (IF d # memory[t][1] THEN {"foreign"} ELSE {})
        /\ remembered' = [remembered EXCEPT ![d] = @ \ {memory[t][2]}]
        /\ lock' = Nobody /\ on' = [on EXCEPT ![t] = NoDevice] /\ Go(t, "forgotten")
        /\ UNCHANGED <<list, state, references, idle, by, had, ownVars, at, slot>>

Forgotten(t) ==
    /\ pc[t] = "forgotten" /\ memory' = [memory EXCEPT ![t] = <<NoDevice, None>>] /\ at' = [at EXCEPT ![t] = 0]
    /\ Go(t, "ending")
    /\ UNCHANGED <<list, lock, state, references, poolVars, wrong, told, key, used, again, on, slot>>

Steps(x) ==
    IF x \in Devices THEN Make(x) \/ GiveHandle(x) \/ Free(x)
    ELSE Return(x) \/ DropRun(x) \/ Rest(x) \/ CallExit(x) \/ Gone(x) \/ Look(x) \/ Forget(x) \/ Forgotten(x)
         \/ Free(x)
Locks(x) == Remove(x) \/ (IF x \in Devices THEN Add(x) ELSE ForgetLock(x))
Leaves(t) == BeginEnd(t) \/ Destructor(t) \/ NoRun(t)
AllEnded == \A x \in Threads \cup Devices : pc[x] = "end"
Next ==
    \/ \E x \in Threads \cup Devices : Steps(x) \/ Locks(x)
    \/ \E t \in Threads : Leaves(t) \/ \E d \in Devices : Lease(t, d)
    \/ AllEnded /\ UNCHANGED vars
Spec ==
    /\ Init /\ [][Next]_vars
    /\ \A x \in Threads \cup Devices : WF_vars(Steps(x)) /\ SF_vars(Locks(x))
    /\ \A t \in Threads : WF_vars(Leaves(t))

\* ---- what must hold
NeverTouchedAfterFree == "touched" \notin wrong
OthersLeftAlone == "foreign" \notin wrong
Listed(d) == \E i \in 1..Len(list) : list[i] = d
Law == \* listed from the end of the opening until the end begins
    \A d \in Devices : Listed(d) <=>
        (state[d] = "open" /\ \A x \in Threads \cup Devices : ~(pc[x] = "free" /\ Ending(x) = d))
GoneMeansForgotten == \* the slot that a thread had last is not kept for it
    \A t \in Threads : \A d \in Devices : \A s \in remembered[d] :
        pc[t] = "end" /\ had[t] = <<d, s>> /\ by[d][s] = t => ~Listed(d)
EverythingEnds == <>AllEnded
Alike == Permutations(Threads) \cup Permutations(Devices)
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go Touch
  hd_device_open: Make
  hd_registry_add: Add
  hd_device_destroy: Drop Free
  the owner: GiveHandle
  hd_registry_remove: Remove
  hd_device_lease remember_slot: Lease
  hd_device_return: Return DropRun
  the thread: Rest BeginEnd NoRun
  hd_thread_call_at_exit: CallExit Destructor
  hd_registry_forget_slot registry_lock: Gone ForgetLock Look
  hd_slot_pool_forget: Forget Forgotten

properties: the promise, and what asserts it in the code
  NeverTouchedAfterFree: REUSE explorer:freed
  OthersLeftAlone: SAFE SAFE.other-device
  Law: SAFE explorer:freed
  GoneMeansForgotten: SAFE SAFE.slots
  EverythingEnds: BOUND explorer:deadlock
