--------------------------- MODULE DeviceLifetime ---------------------------
(* Models the references of devices and models: hd_model_run in src/graph/model_run.c (its beginning *)
(* and its end), hd_model_destroy in src/graph/model.c, hd_device_retain, hd_device_destroy and      *)
(* hd_device_shutdown in src/runtime/device.c. Slots are leased as in SlotPool, in one step.         *)
(* Promises: SAFE (destroying with runs in flight is deferred; shutdown may race with anything),     *)
(* ONCE (everything is freed exactly once), REUSE (nothing is touched after it was freed).           *)
(*                                                                                                   *)
(* Grain: one action is one atomic operation on a reference count, or one access to a device's pool  *)
(* or a model, which may find it freed. A run is in flight from its first access on: an owner gives  *)
(* a handle back only when nobody is still to begin with it.                                         *)
(* Abstracted: what a run computes; plans, which the model owns and frees with itself.               *)
EXTENDS Naturals, FiniteSets

CONSTANTS Runners, Closers, SlotCount, Mutant

Owners == {"model owner", "device owner"}
Threads == Runners \cup Closers \cup Owners

VARIABLES
    model, device,     \* reference counts
    frees,             \* how often each was freed
    closed, leased,    \* the device's pool
    seen,              \* of each thread, mutant plain_count: the count that it has loaded
    broken,            \* somebody touched what was freed
    result,            \* of each runner and closer
    pc

vars == <<model, device, frees, closed, leased, seen, broken, result, pc>>
Objects == {"model", "device"}
Go(t, where) == pc' = [pc EXCEPT ![t] = where]
Touch(objects) == broken' = (broken \/ \E o \in objects : frees[o] > 0)
End(t, what) == result' = [result EXCEPT ![t] = what]

Init ==
    /\ model = 1 /\ device = 2 \* the model's and the device's owners', and the model's own
    /\ frees = [o \in Objects |-> 0] /\ closed = FALSE /\ leased = {}
    /\ seen = [t \in Threads |-> 0] /\ broken = FALSE
    /\ result = [t \in Threads |-> "none"] /\ pc = [t \in Threads |-> "out"]

\* ---- hd_model_run
Early == Mutant = "lease_before_retain"
Begin(r) == \* retains the model first; mutant: leases first
    /\ pc[r] = "out" /\ Touch({"model"})
    /\ IF Early THEN UNCHANGED model ELSE model' = model + 1
    /\ Go(r, "lease") /\ UNCHANGED <<device, frees, closed, leased, seen, result>>

Lease(r) ==
    /\ pc[r] = "lease" /\ Touch(Objects)
    /\ \/ /\ closed /\ End(r, "closed") /\ Go(r, IF Early THEN "end" ELSE "drop_model") /\ UNCHANGED leased
       \/ /\ ~closed /\ Cardinality(leased) < SlotCount /\ leased' = leased \cup {r}
          /\ Go(r, "check") /\ UNCHANGED result
    /\ UNCHANGED <<model, device, frees, closed, seen>>

Expire(r) == \* no slot came in time
    /\ pc[r] = "lease" /\ Cardinality(leased) = SlotCount /\ Touch(Objects)
    /\ End(r, "exhausted") /\ Go(r, IF Early THEN "end" ELSE "drop_model")
    /\ UNCHANGED <<model, device, frees, closed, leased, seen>>

Check(r) == \* the pool's second check
    /\ pc[r] = "check" /\ Touch(Objects)
    /\ IF closed THEN End(r, "closed") /\ Go(r, "hand_back") ELSE Go(r, "run") /\ UNCHANGED result
    /\ model' = IF Early /\ ~closed THEN model + 1 ELSE model
    /\ UNCHANGED <<device, frees, closed, leased, seen>>

HandBack(r) == \* what was leased too late
    /\ pc[r] = "hand_back" /\ Touch({"device"}) /\ leased' = leased \ {r}
    /\ Go(r, IF Early THEN "end" ELSE "drop_model")
    /\ UNCHANGED <<model, device, frees, closed, seen, result>>

Run(r) == \* and retains the device for the way out
    /\ pc[r] = "run" /\ Touch(Objects) /\ End(r, "ok")
    /\ IF Mutant = "no_device_reference" THEN UNCHANGED device ELSE device' = device + 1
    /\ Go(r, IF Mutant = "no_device_reference" THEN "drop_model" ELSE "return")
    /\ UNCHANGED <<model, frees, closed, leased, seen>>

PutBack(r) ==
    /\ pc[r] \in {"return", "late_return"} /\ Touch({"device"}) /\ leased' = leased \ {r}
    /\ Go(r, IF pc[r] = "return" THEN "serve" ELSE "end")
    /\ UNCHANGED <<model, device, frees, closed, seen, result>>

Serve(r) == \* looks for those who wait, after the slot was given back
    /\ pc[r] = "serve" /\ Mutant # "stuck_in_serve" /\ Touch({"device"}) /\ Go(r, "drop_model")
    /\ UNCHANGED <<model, device, frees, closed, leased, seen, result>>

\* ---- hd_model_destroy, by a run or the owner; hd_device_destroy
AfterModel(t) ==
    IF t \in Owners THEN "end"
    ELSE IF result[t] = "ok" THEN (IF Mutant = "no_device_reference" THEN "late_return" ELSE "drop_device")
    ELSE "end"

DropModel(t) ==
    /\ pc[t] = "drop_model" /\ Mutant # "plain_count" /\ Touch({"model"}) /\ model' = model - 1
    /\ Go(t, IF model = 1 THEN "free_model" ELSE AfterModel(t))
    /\ UNCHANGED <<device, frees, closed, leased, seen, result>>

PlainDropModel(t) == \* mutant: load, then store
    /\ Mutant = "plain_count" /\ pc[t] \in {"drop_model", "store_model"} /\ Touch({"model"})
    /\ IF pc[t] = "drop_model"
       THEN seen' = [seen EXCEPT ![t] = model] /\ Go(t, "store_model") /\ UNCHANGED model
       ELSE /\ model' = seen[t] - 1 /\ seen' = [seen EXCEPT ![t] = 0]
            /\ Go(t, IF seen[t] = 1 THEN "free_model" ELSE AfterModel(t))
    /\ UNCHANGED <<device, frees, closed, leased, result>>

FreeModel(t) == \* its plans and weights are taken off the device's account; then its reference goes
    /\ pc[t] = "free_model" /\ Touch({"device"})
    /\ IF Mutant = "device_first" THEN UNCHANGED frees ELSE frees' = [frees EXCEPT !["model"] = @ + 1]
    /\ device' = device - 1
    /\ Go(t, IF device = 1 THEN "free_device_within"
             ELSE IF Mutant = "device_first" THEN "free_model_late" ELSE AfterModel(t))
    /\ UNCHANGED <<model, closed, leased, seen, result>>

FreeModelLate(t) == \* mutant: the account is used when the device's reference is gone
    /\ pc[t] = "free_model_late" /\ Touch({"device"}) /\ frees' = [frees EXCEPT !["model"] = @ + 1]
    /\ Go(t, AfterModel(t)) /\ UNCHANGED <<model, device, closed, leased, seen, result>>

DropDevice(t) ==
    /\ pc[t] = "drop_device" /\ Touch({"device"}) /\ device' = device - 1
    /\ Go(t, IF device = 1 THEN "free_device" ELSE "end")
    /\ UNCHANGED <<model, frees, closed, leased, seen, result>>

FreeDevice(t) ==
    /\ pc[t] \in {"free_device", "free_device_within"} /\ frees' = [frees EXCEPT !["device"] = @ + 1]
    /\ Go(t, IF pc[t] = "free_device" THEN "end"
             ELSE IF Mutant = "device_first" THEN "free_model_late" ELSE AfterModel(t))
    /\ UNCHANGED <<model, device, closed, leased, seen, broken, result>>

\* ---- the owners give their handles back when nobody is still to begin
OwnerDrops(o) ==
    /\ pc[o] = "out"
    /\ \A t \in (IF o = "model owner" THEN Runners ELSE Closers) : pc[t] # "out"
    /\ Go(o, IF o = "model owner" THEN "drop_model" ELSE "drop_device")
    /\ UNCHANGED <<model, device, frees, closed, leased, seen, broken, result>>

\* ---- hd_device_shutdown
Shutdown(c) == \* retains the device while it waits
    /\ pc[c] = "out" /\ Touch({"device"})
    /\ IF Mutant = "shutdown_without_reference" THEN UNCHANGED device ELSE device' = device + 1
    /\ Go(c, "close") /\ UNCHANGED <<model, frees, closed, leased, seen, result>>

Close(c) ==
    /\ pc[c] = "close" /\ Touch({"device"}) /\ closed' = TRUE /\ Go(c, "await")
    /\ UNCHANGED <<model, device, frees, leased, seen, result>>

Await(c) ==
    /\ pc[c] = "await" /\ Touch({"device"})
    /\ End(c, IF leased = {} \/ Mutant = "not_awaited" THEN "ok" ELSE "not yet") \* not yet: its time is over
    /\ Go(c, IF Mutant = "shutdown_without_reference" THEN "end" ELSE "drop_device")
    /\ UNCHANGED <<model, device, frees, closed, leased, seen>>

Skip(t) == \* who does not call at all
    /\ t \in Runners \cup Closers /\ pc[t] = "out" /\ Go(t, "end")
    /\ UNCHANGED <<model, device, frees, closed, leased, seen, broken, result>>

Steps(t) ==
    IF t \in Runners
    THEN Begin(t) \/ Lease(t) \/ Expire(t) \/ Check(t) \/ HandBack(t) \/ Run(t) \/ PutBack(t) \/ Serve(t)
    ELSE IF t \in Closers THEN Shutdown(t) \/ Close(t) \/ Await(t) ELSE OwnerDrops(t)
Drops(t) ==
    DropModel(t) \/ PlainDropModel(t) \/ FreeModel(t) \/ FreeModelLate(t) \/ DropDevice(t) \/ FreeDevice(t)
AllEnded == \A t \in Threads : pc[t] = "end"
Next == (\E t \in Threads : Steps(t) \/ Drops(t) \/ Skip(t)) \/ (AllEnded /\ UNCHANGED vars)
Spec == Init /\ [][Next]_vars /\ \A t \in Threads : WF_vars(Steps(t) \/ Drops(t) \/ Skip(t))

\* ---- what must hold
NeverTouchedAfterFree == ~broken
FreedAtMostOnce == \A o \in Objects : frees[o] <= 1
NothingLeaks == AllEnded => /\ \A o \in Objects : frees[o] = 1
                            /\ leased = {}
ShutdownMeansIdle == (\E c \in Closers : result[c] = "ok") => \A r \in Runners : pc[r] # "run"
EverythingEnds == <>AllEnded
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go Touch
  hd_model_run: Begin End
  hd_device_lease hd_slot_pool_lease_for_run: Lease Expire Check HandBack
  the run: Run
  hd_device_return hd_slot_pool_return: PutBack Serve
  hd_model_destroy: DropModel FreeModel
  a mutant: PlainDropModel FreeModelLate
  hd_device_destroy: DropDevice FreeDevice
  the owner: OwnerDrops Skip
  hd_device_shutdown: Shutdown Close Await

properties: the promise, and what asserts it in the code
  NeverTouchedAfterFree: REUSE explorer:freed
  FreedAtMostOnce: ONCE explorer:freed
  NothingLeaks: ONCE explorer:leak
  ShutdownMeansIdle: SAFE ONCE.work-done
  EverythingEnds: BOUND BOUND.shutdown explorer:deadlock
