/-
Strategies: the five of Submission.tla and of the explorer, as locking policies over the one semantics. `per_encoder`
owns its encoder from recording to completion, by the encoder's lock, and shares the queue only to submit.
-/
import Heddle.Semantics

namespace Heddle

inductive Strategy where
  | global
  | per_encoder
  | per_stream
  | per_op
  | rw

/-- No lock at all: not a strategy, but what all of them are for. -/
def unlocked : Policy := fun _ _ _ => False

def recording : Phase → Mode
  | Phase.record => Mode.shared
  | Phase.submit => Mode.exclusive
  | Phase.complete => Mode.exclusive

/-- What a strategy asks of an access. -/
def policy : Strategy → Policy
  | Strategy.global => fun _ l m => l = Lock.global ∧ m = Mode.exclusive
  | Strategy.per_encoder => fun a l m =>
      (l = Lock.encoder a.operation.encoder ∧ m = Mode.exclusive) ∨
      (a.phase = Phase.submit ∧ l = Lock.queue a.operation.queue ∧ m = Mode.exclusive)
  | Strategy.per_stream => fun a l m => l = Lock.stream a.operation.stream ∧ m = Mode.exclusive
  | Strategy.per_op => fun a l m => l = Lock.kind a.operation.kind ∧ m = Mode.exclusive
  | Strategy.rw => fun a l m => l = Lock.global ∧ m = recording a.phase

end Heddle
