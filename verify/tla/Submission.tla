----------------------------- MODULE Submission -----------------------------
(* The five strategies for a hardware queue that several streams share (design.md, Sync strategies), *)
(* over a simulated encoder that shows overlaps: what hd_queue's submission must keep, and what the  *)
(* explorer and the proofs speak of, too.                                                            *)
(*   global       one lock around record and submit, one encoder                                     *)
(*   per_encoder  an encoder is taken from a pool and owned; a lock around submission only           *)
(*   per_stream   a lock a stream around record and submit, one encoder                              *)
(*   per_op       a lock a kind of operation around record and submit, one encoder                   *)
(*   rw           one encoder; recorders share a lock, submitters have it alone                      *)
(* The first two never overlap; TLC must find an overlap under each of the other three.              *)
(* Promises: SAFE (an encoder and the queue are used by one thread at a time), ONCE (what was        *)
(* recorded is submitted exactly once).                                                              *)
(*                                                                                                   *)
(* Grain: entering and leaving the encoder or the queue are actions of their own, so two threads     *)
(* overlap where a state has both inside. Taking a lock or an encoder from the pool is one action.   *)
(* Abstracted: an operation is recorded whole, without its parts; each thread has its own stream.    *)
EXTENDS Naturals, FiniteSets

CONSTANTS Threads, Strategy,
    Kinds,      \* of operations, for per_op
    EncoderCount, Rounds, Mutant

\* Only per_encoder has several; the others share the queue's one.
Encoders == IF Strategy = "per_encoder" THEN 1..EncoderCount ELSE {1}
Nobody == "nobody"
None == 0

VARIABLES
    holders,   \* of each lock: those who hold it; more than one only where readers share it
    free,      \* encoders in the pool, for per_encoder
    mine,      \* of each thread: its encoder
    kind,      \* of each thread: the kind of its operation
    recorded,  \* of each encoder: the <<thread, round>> recorded and not yet submitted
    submitted, \* the <<thread, round>> submitted
    twice,     \* something was submitted a second time
    round, pc

vars == <<holders, free, mine, kind, recorded, submitted, twice, round, pc>>
Go(t, where) == pc' = [pc EXCEPT ![t] = where]

\* The locks of a strategy: what is held while recording, and while submitting.
LockNames == {"queue"} \cup Threads \cup Kinds
RecordLock(t) ==
    CASE Strategy = "global" -> "queue" [] Strategy = "per_stream" -> t [] Strategy = "per_op" -> kind[t]
      [] Strategy = "rw" -> "queue" [] Strategy = "per_encoder" -> Nobody
SubmitLock(t) == IF Strategy = "per_encoder" THEN (IF Mutant = "no_queue_lock" THEN Nobody ELSE "queue")
                 ELSE RecordLock(t)
\* Held from recording through submitting; else it is given back and taken anew between the two.
HeldThrough == Strategy \in {"global", "per_stream", "per_op"}
Shared == Strategy = "rw"
Writing == {"submit", "submitting", "unlock"}
CanRead(t, l) == \A o \in holders[l] : pc[o] \notin Writing

Init ==
    /\ holders = [l \in LockNames |-> {}] /\ free = Encoders
    /\ mine = [t \in Threads |-> None] /\ kind = [t \in Threads |-> CHOOSE k \in Kinds : TRUE]
    /\ recorded = [e \in Encoders |-> {}] /\ submitted = {} /\ twice = FALSE
    /\ round = [t \in Threads |-> 0] /\ pc = [t \in Threads |-> "out"]

Begin(t) ==
    /\ pc[t] = "out" /\ round[t] < Rounds /\ round' = [round EXCEPT ![t] = @ + 1]
    /\ \E k \in Kinds : kind' = [kind EXCEPT ![t] = k]
    /\ Go(t, "encoder") /\ UNCHANGED <<holders, free, mine, recorded, submitted, twice>>

TakeEncoder(t) ==
    /\ pc[t] = "encoder"
    /\ IF Strategy # "per_encoder" THEN mine' = [mine EXCEPT ![t] = 1] /\ UNCHANGED free /\ Go(t, "lock")
       ELSE \E e \in free :
            /\ mine' = [mine EXCEPT ![t] = e] /\ Go(t, "lock")
            /\ free' = IF Mutant = "encoder_not_owned" THEN free ELSE free \ {e}
    /\ UNCHANGED <<holders, kind, recorded, submitted, twice, round>>

Lock(t) ==
    /\ pc[t] = "lock" /\ Go(t, "record")
    /\ LET l == RecordLock(t) IN
       IF l = Nobody THEN UNCHANGED holders
       ELSE /\ (IF Shared THEN CanRead(t, l) ELSE holders[l] = {})
            /\ holders' = [holders EXCEPT ![l] = @ \cup {t}]
    /\ UNCHANGED <<free, mine, kind, recorded, submitted, twice, round>>

BeginRecord(t) ==
    /\ pc[t] = "record" /\ Go(t, "recording")
    /\ UNCHANGED <<holders, free, mine, kind, recorded, submitted, twice, round>>

EndRecord(t) ==
    /\ pc[t] = "recording" /\ recorded' = [recorded EXCEPT ![mine[t]] = @ \cup {<<t, round[t]>>}]
    /\ IF HeldThrough /\ Mutant # "unlock_between" THEN Go(t, "submit") /\ UNCHANGED holders
       ELSE /\ Go(t, "submit_lock")
            /\ holders' = IF RecordLock(t) = Nobody THEN holders
                          ELSE [holders EXCEPT ![RecordLock(t)] = @ \ {t}]
    /\ UNCHANGED <<free, mine, kind, submitted, twice, round>>

LockSubmit(t) ==
    /\ pc[t] = "submit_lock" /\ Go(t, "submit")
    /\ LET l == SubmitLock(t) IN
       IF l = Nobody THEN UNCHANGED holders
       ELSE holders[l] = {} /\ holders' = [holders EXCEPT ![l] = {t}]
    /\ UNCHANGED <<free, mine, kind, recorded, submitted, twice, round>>

BeginSubmit(t) ==
    /\ pc[t] = "submit" /\ Go(t, "submitting")
    /\ UNCHANGED <<holders, free, mine, kind, recorded, submitted, twice, round>>

EndSubmit(t) ==
    /\ pc[t] = "submitting"
    /\ twice' = (twice \/ recorded[mine[t]] \cap submitted # {})
    /\ submitted' = (IF Mutant = "dropped" THEN submitted ELSE submitted \cup recorded[mine[t]])
    /\ recorded' = (IF Mutant = "recorded_kept" THEN recorded ELSE [recorded EXCEPT ![mine[t]] = {}])
    /\ Go(t, "unlock")
    /\ UNCHANGED <<holders, free, mine, kind, round>>

Unlock(t) ==
    /\ pc[t] = "unlock" /\ Go(t, "out") /\ mine' = [mine EXCEPT ![t] = None]
    /\ holders' = IF SubmitLock(t) = Nobody THEN holders ELSE [holders EXCEPT ![SubmitLock(t)] = @ \ {t}]
    /\ free' = IF Strategy = "per_encoder" /\ Mutant # "encoder_kept" THEN free \cup {mine[t]} ELSE free
    /\ UNCHANGED <<kind, recorded, submitted, twice, round>>

Waits(t) == TakeEncoder(t) \/ Lock(t) \/ LockSubmit(t)
Steps(t) == Begin(t) \/ BeginRecord(t) \/ EndRecord(t) \/ BeginSubmit(t) \/ EndSubmit(t) \/ Unlock(t)
AllEnded == \A t \in Threads : pc[t] = "out" /\ round[t] = Rounds
Next == (\E t \in Threads : Waits(t) \/ Steps(t)) \/ (AllEnded /\ UNCHANGED vars)
Spec == Init /\ [][Next]_vars /\ \A t \in Threads : WF_vars(Steps(t)) /\ SF_vars(Waits(t))

\* ---- what must hold
Inside(e) == {t \in Threads : mine[t] = e /\ pc[t] \in {"recording", "submitting"}}
NoEncoderOverlap == \A e \in Encoders : Cardinality(Inside(e)) <= 1
NoQueueOverlap == Cardinality({t \in Threads : pc[t] = "submitting"}) <= 1
EncoderOwned == \* nobody else's work is submitted by me
    \A t \in Threads : pc[t] = "submitting" => recorded[mine[t]] = {<<t, round[t]>>}
SubmittedOnce == ~twice
NothingLost == AllEnded => submitted = Threads \X (1..Rounds)
EverythingEnds == <>AllEnded
NeverTwoBusy == Cardinality({t \in Threads : pc[t] = "recording"}) <= 1 \* it happens: see mutants/
=============================================================================

actions, by the C functions that they model (`verify/tla/check` reads this)
  a part: Go
  hd_submission_submit strategy_submit: Begin BeginRecord EndRecord
  take_encoder: TakeEncoder
  submit_under submit_per_encoder submit_rw: Lock LockSubmit Unlock
  hd_stream_try_submit hd_runners_submit: BeginSubmit EndSubmit

properties: the promise, and what asserts it in the code
  NoEncoderOverlap: SAFE explorer:race
  NoQueueOverlap: SAFE explorer:race
  EncoderOwned: SAFE explorer:race
  SubmittedOnce: ONCE ONCE.submitted
  NothingLost: ONCE ONCE.submitted
  EverythingEnds: BOUND explorer:deadlock
