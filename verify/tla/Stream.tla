------------------------------- MODULE Stream -------------------------------
(* Models src/runtime/stream.c: hd_stream_begin, hd_stream_try_submit, hd_stream_end,                *)
(* hd_stream_close, hd_stream_complete, for one stream and its slot.                                 *)
(* Promises: SAFE (an old handle and a closed stream are refused; nobody owns a slot whose last      *)
(* owner's work is not done), ONCE (an ownership's slot is returned exactly once), BOUND (the depth).*)
(*                                                                                                   *)
(* Grain: one action is one atomic operation (leaving, completed), or one critical section of the    *)
(* stream's lock up to such an operation. Ending an ownership is two actions under the lock, telling *)
(* and looking, and so is the end of work without it.                                                *)
(* Abstracted: the queue does work in order, one at a time, as Team and the queues' scenarios show;  *)
(* the pool is one bit; a full stream refuses (waiting for a place is the timeline's).               *)
EXTENDS Naturals

CONSTANTS Owners, Depth, Works, Rounds,
    Generations, \* how many there are before they begin anew
    Mutant

Nobody == "nobody"
None == 99

VARIABLES
    idle, returned,                     \* the slot; how often it was returned, less leases
    owned, generation, closed, leaving, \* the stream
    lock, submitted, completed,
    early,                              \* the slot was returned while work was in flight
    count, mine,                        \* ghosts: ownerships so far, and of each owner the number of his last one
    stale,                              \* something was taken from one who is not the owner, by that count
    handle, rounds, runner, pc

vars == <<idle, returned, owned, generation, closed, leaving, lock, submitted, completed, early, stale,
          count, mine, handle, rounds, runner, pc>>
Go(t, where) == pc' = [pc EXCEPT ![t] = where]
Drained == completed = submitted
Closer == "closer"

Init ==
    /\ idle = TRUE /\ returned = 0 /\ owned = FALSE /\ generation = 0 /\ closed = FALSE /\ leaving = FALSE
    /\ lock = Nobody /\ submitted = 0 /\ completed = 0 /\ early = FALSE /\ stale = FALSE
    /\ count = 0 /\ mine = [o \in Owners |-> 0]
    /\ handle = [o \in Owners |-> None] /\ rounds = [o \in Owners |-> 0] /\ runner = "idle"
    /\ pc = [t \in Owners \cup {Closer} |-> "out"]

Return == \* hd_slot_pool_return
    /\ idle' = TRUE /\ returned' = returned + 1 /\ early' = (early \/ ~Drained)

\* ---- hd_slot_pool_lease and hd_stream_begin
Lease(o) ==
    /\ pc[o] = "out" /\ rounds[o] < Rounds /\ idle /\ idle' = FALSE /\ returned' = returned - 1
    /\ rounds' = [rounds EXCEPT ![o] = @ + 1] /\ Go(o, "begin")
    /\ UNCHANGED <<count, mine, owned, generation, closed, leaving, lock, submitted, completed, early, stale, handle, runner>>

Begin(o) ==
    /\ pc[o] = "begin" /\ lock = Nobody
    /\ IF closed /\ Mutant # "begin_ignores_closed" THEN Go(o, "give") /\ UNCHANGED <<owned, generation, handle, count, mine>>
       ELSE /\ owned' = TRUE /\ generation' = (generation + 1) % Generations
            /\ handle' = [handle EXCEPT ![o] = generation'] /\ Go(o, "use")
            /\ count' = count + 1 /\ mine' = [mine EXCEPT ![o] = count']
    /\ UNCHANGED <<idle, returned, closed, leaving, lock, submitted, completed, early, stale, rounds, runner>>

Give(t) ==
    /\ pc[t] = "give" /\ Return /\ Go(t, "out")
    /\ UNCHANGED <<count, mine, owned, generation, closed, leaving, lock, submitted, completed, stale, handle, rounds, runner>>

\* ---- any owner, earlier or present, uses the handle that it has
Good(o) == ~closed /\ (owned \/ Mutant = "owned_ignored")
           /\ (generation = handle[o] \/ Mutant = "generation_ignored")
Stale(o) == closed \/ ~owned \/ count # mine[o]
Submit(o) ==
    /\ pc[o] \in {"use", "out"} /\ handle[o] # None /\ lock = Nobody /\ submitted < Works
    /\ Good(o) /\ (submitted - completed < Depth \/ Mutant = "depth_not_asked")
    /\ submitted' = submitted + 1 /\ stale' = (stale \/ Stale(o))
    /\ UNCHANGED <<count, mine, idle, returned, owned, generation, closed, leaving, lock, completed, early, handle, rounds,
                   runner, pc>>

\* ---- hd_stream_end, hd_stream_close: leave
End(o) ==
    /\ pc[o] \in {"use", "out"} /\ handle[o] # None /\ lock = Nobody /\ Good(o)
    /\ owned' = (Mutant = "owned_kept") /\ stale' = (stale \/ Stale(o))
    /\ IF Mutant = "look_before_telling"
       THEN lock' = o /\ UNCHANGED leaving /\ Go(o, IF Drained THEN "claimed" ELSE "tell")
       ELSE lock' = o /\ leaving' = TRUE /\ Go(o, "claim")
    /\ UNCHANGED <<count, mine, idle, returned, generation, closed, submitted, completed, early, handle, rounds, runner>>

Refused(o) ==
    /\ pc[o] = "use" /\ lock = Nobody /\ ~Good(o) /\ Go(o, "out")
    /\ UNCHANGED <<count, mine, idle, returned, owned, generation, closed, leaving, lock, submitted, completed, early, stale,
                   handle, rounds, runner>>

Close ==
    /\ pc[Closer] = "out" /\ lock = Nobody /\ closed' = TRUE
    /\ IF owned THEN owned' = FALSE /\ leaving' = TRUE /\ lock' = Closer /\ Go(Closer, "claim")
       ELSE Go(Closer, "out") /\ UNCHANGED <<owned, leaving, lock>>
    /\ UNCHANGED <<count, mine, idle, returned, generation, submitted, completed, early, stale, handle, rounds, runner>>

Claim(t) ==
    /\ pc[t] = "claim" /\ lock' = Nobody
    /\ IF Drained \/ Mutant = "not_drained" THEN leaving' = FALSE /\ Go(t, "give")
       ELSE UNCHANGED leaving /\ Go(t, "out")
    /\ UNCHANGED <<count, mine, idle, returned, owned, generation, closed, submitted, completed, early, stale, handle, rounds,
                   runner>>

Tell(t) == \* mutant look_before_telling
    /\ pc[t] \in {"tell", "claimed"} /\ lock' = Nobody
    /\ leaving' = (pc[t] = "tell") /\ Go(t, IF pc[t] = "tell" THEN "out" ELSE "give")
    /\ UNCHANGED <<count, mine, idle, returned, owned, generation, closed, submitted, completed, early, stale, handle, rounds,
                   runner>>

\* ---- hd_stream_complete, by the queue's runner
Complete ==
    /\ runner = "idle" /\ completed < submitted /\ completed' = completed + 1 /\ runner' = "look"
    /\ UNCHANGED <<count, mine, idle, returned, owned, generation, closed, leaving, lock, submitted, early, stale, handle,
                   rounds, pc>>

Look ==
    /\ runner = "look" /\ runner' = (IF leaving /\ Mutant # "end_not_told" THEN "claim" ELSE "idle")
    /\ UNCHANGED <<count, mine, idle, returned, owned, generation, closed, leaving, lock, submitted, completed, early, stale,
                   handle, rounds, pc>>

RunnerClaim ==
    /\ runner = "claim" /\ (lock = Nobody \/ Mutant = "claim_unlocked")
    /\ IF Mutant = "claim_unlocked" /\ Drained THEN runner' = "store" /\ UNCHANGED leaving
       ELSE IF (leaving \/ Mutant = "no_second_look") /\ Drained
       THEN leaving' = FALSE /\ runner' = "give"
       ELSE UNCHANGED leaving /\ runner' = "idle"
    /\ UNCHANGED <<count, mine, idle, returned, owned, generation, closed, lock, submitted, completed, early, stale, handle,
                   rounds, pc>>

RunnerStore == \* mutant claim_unlocked
    /\ runner = "store" /\ leaving' = FALSE /\ runner' = "give"
    /\ UNCHANGED <<count, mine, idle, returned, owned, generation, closed, lock, submitted, completed, early, stale, handle,
                   rounds, pc>>

RunnerGive ==
    /\ runner = "give" /\ Return /\ runner' = "idle"
    /\ UNCHANGED <<count, mine, owned, generation, closed, leaving, lock, submitted, completed, stale, handle, rounds, pc>>

RunnerSteps == Complete \/ Look \/ RunnerClaim \/ RunnerStore \/ RunnerGive
Steps(t) == Give(t) \/ Claim(t) \/ Tell(t)
OwnerSteps(o) == Lease(o) \/ Begin(o) \/ Submit(o) \/ End(o) \/ Refused(o)
Next == (\E o \in Owners : OwnerSteps(o)) \/ Close \/ (\E t \in Owners \cup {Closer} : Steps(t)) \/ RunnerSteps
Done == \* nobody has anything left to do
    /\ Drained /\ runner = "idle" /\ \A o \in Owners : pc[o] = "out"
Fair == WF_vars(RunnerSteps)
        /\ \A o \in Owners : WF_vars(Begin(o) \/ Refused(o) \/ End(o) \/ Steps(o)) /\ WF_vars(Steps(Closer))
Spec == Init /\ [][Next \/ (Done /\ UNCHANGED vars)]_vars /\ Fair

\* ---- what must hold
ReturnedOnce == returned \in {0 - 1, 0} /\ (idle <=> returned = 0)
NeverEarly == ~early
OldHandlesRefused == ~stale
DepthHolds == submitted - completed <= Depth
OwnedMeansLeased == owned => ~idle
ClosedMeansNobody == closed => ~owned
LeavingEnds == leaving ~> ~leaving
ClosedComesBack == closed ~> idle
LastWorkReturns == \* at rest an unowned slot is idle again
    (Done /\ lock = Nobody /\ pc[Closer] = "out" /\ ~owned) => idle /\ ~leaving
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go Return
  hd_slot_pool_lease: Lease
  hd_stream_begin: Begin
  hd_slot_pool_return: Give RunnerGive
  hd_stream_try_submit check_owner: Submit Refused
  hd_stream_end leave: End
  hd_stream_close: Close
  claim_leaving: Claim RunnerClaim
  a mutant: Tell RunnerStore
  hd_stream_complete hd_timeline_signal: Complete
  is_leaving: Look

properties: the promise, and what asserts it in the code
  ReturnedOnce: ONCE ONCE.slot-back
  NeverEarly: REUSE explorer:race
  OldHandlesRefused: SAFE SAFE.old-handle SAFE.generation
  DepthHolds: BOUND BOUND.stream-depth
  OwnedMeansLeased: SAFE SAFE.stream-one-owner
  ClosedMeansNobody: SAFE SAFE.closed
  LeavingEnds: BOUND BOUND.slot ONCE.slot-back
  ClosedComesBack: BOUND ONCE.slot-back
  LastWorkReturns: ONCE ONCE.slot-back
