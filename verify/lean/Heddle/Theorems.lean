/-
The nine theorems. Each holds for every number of threads, streams, encoders, kinds and queues (as far as it says
that there are two of something, since one alone has nobody to race with), and for every schedule.
-/
import Heddle.PerEncoder

namespace Heddle

/-- Two threads with two streams, two kinds of operations and an encoder: enough for a race. -/
structure Roomy (w : World) : Prop where
  first_thread : 0 < w.threads
  second_thread : 1 < w.threads
  first_stream : 0 < w.streams
  second_stream : 1 < w.streams
  first_kind : 0 < w.kinds
  second_kind : 1 < w.kinds
  first_encoder : 0 < w.encoders
  first_queue : 0 < w.queues

theorem every_access_writes (a : Access) (o : Object) (touches : Touches a o) : Writes a o := by
  cases a with
  | mk operation phase =>
    cases touches with
    | inl is_encoder =>
      cases is_encoder
      have made : ∀ s, look (write s 0 ⟨operation, phase⟩) (Object.encoder operation.encoder) =
          Content.encoder (encoderAfter 0 phase) :=
        fun s => congrArg Content.encoder (update_same s.encoder operation.encoder (encoderAfter 0 phase))
      have differs : encoderAfter 0 phase ≠ Encoder.recorded 1 := by
        cases phase with
        | record => exact fun same => Encoder.noConfusion same (fun number => Nat.noConfusion number)
        | submit => exact fun same => Encoder.noConfusion same
        | complete => exact fun same => Encoder.noConfusion same
      exact ⟨{ initial with encoder := fun _ => Encoder.recorded 1 }, 0,
        fun same => Content.noConfusion ((made _).symm.trans same) differs⟩
    | inr is_queue =>
      have is_submit : phase = Phase.submit := is_queue.1
      cases is_submit
      have is_object : o = Object.queue operation.queue := is_queue.2
      cases is_object
      have made : look (write initial 0 ⟨operation, Phase.submit⟩) (Object.queue operation.queue) = Content.queue [0] :=
        congrArg Content.queue (update_same initial.queue operation.queue [0])
      exact ⟨initial, 0, fun same => Content.noConfusion (made.symm.trans same) (fun list =>
        have lengths : (1 : Nat) = 0 := congrArg List.length list
        Nat.noConfusion lengths)⟩

/-- Threads within two accesses to one encoder are a race on it, whatever the accesses. -/
theorem race_of_concurrent (w : World) (P : Policy) (t u : Nat) (a b : Access)
    (same : a.operation.encoder = b.operation.encoder) (at_once : Concurrent w P t a u b) :
    ∃ s, Reachable w P s ∧ RaceOn s (Object.encoder a.operation.encoder) :=
  match at_once with
  | ⟨different, s, reached, at_a, at_b⟩ =>
    ⟨s, reached, t, a, u, b, different, at_a, at_b, Or.inl rfl, Or.inl (congrArg Object.encoder same),
      Or.inl (every_access_writes a _ (Or.inl rfl))⟩

/-- Two operations that differ in stream and kind and meet at encoder 0. -/
def one : Operation := ⟨0, 0, 0, 0⟩
def two : Operation := ⟨1, 0, 1, 0⟩

theorem valid_one (w : World) (roomy : Roomy w) : Valid w one :=
  ⟨roomy.first_stream, roomy.first_encoder, roomy.first_kind, roomy.first_queue⟩

theorem valid_two (w : World) (roomy : Roomy w) : Valid w two :=
  ⟨roomy.second_stream, roomy.first_encoder, roomy.second_kind, roomy.first_queue⟩

theorem zero_is_not_one : (0 : Nat) ≠ 1 := fun same => Nat.noConfusion same

/-- Some schedule leads to a race on an encoder. -/
def Races (w : World) (P : Policy) : Prop :=
  ∃ s e, Reachable w P s ∧ RaceOn s (Object.encoder e)

theorem races_where_both_record (w : World) (P : Policy)
    (at_once : Concurrent w P 0 ⟨one, Phase.record⟩ 1 ⟨two, Phase.record⟩) : Races w P :=
  match race_of_concurrent w P 0 1 ⟨one, Phase.record⟩ ⟨two, Phase.record⟩ rfl at_once with
  | ⟨s, reached, race⟩ => ⟨s, _, reached, race⟩

theorem races_under (w : World) (P : Policy) (roomy : Roomy w) (k l : Lock) (m n : Mode)
    (only_first : ∀ i j, P ⟨one, Phase.record⟩ i j ↔ just k m i j)
    (only_second : ∀ i j, P ⟨two, Phase.record⟩ i j ↔ just l n i j)
    (agree : l = k → n = Mode.shared ∧ m = Mode.shared) : Races w P :=
  races_where_both_record w P
    (two_record w P 0 1 one two k l m n only_first only_second zero_is_not_one roomy.first_thread roomy.second_thread
      (valid_one w roomy) (valid_two w roomy) agree)

-- 1
theorem race_condition_exists (w : World) (roomy : Roomy w) : Races w unlocked :=
  races_where_both_record w unlocked
    (And.intro zero_is_not_one
      (one_and_other w unlocked 0 1 _ _ _ nothing zero_is_not_one
        (record_under_no_lock w unlocked 0 initial one (fun _ _ no => no) Reachable.initial roomy.first_thread
          (valid_one w roomy) rfl (fun _ _ no => no))
        (fun s reached idle empty _ =>
          record_under_no_lock w unlocked 1 s two (fun _ _ no => no) reached roomy.second_thread
            (valid_two w roomy) idle empty)))

-- 2
theorem mutex_prevents_race (w : World) : Safe w (policy Strategy.global) :=
  separating_is_safe w _ (fun _ _ _ _ _ =>
    ⟨Lock.global, Mode.exclusive, Mode.exclusive, And.intro rfl rfl, And.intro rfl rfl,
      fun shared => Mode.noConfusion shared.1⟩)

-- 3
theorem per_stream_mutex_insufficient (w : World) (roomy : Roomy w) : Races w (policy Strategy.per_stream) :=
  races_under w _ roomy (Lock.stream 0) (Lock.stream 1) Mode.exclusive Mode.exclusive
    (fun _ _ => Iff.rfl) (fun _ _ => Iff.rfl)
    (fun same => Lock.noConfusion same (fun equal => absurd equal.symm zero_is_not_one))

-- 4
theorem per_op_mutex_insufficient (w : World) (roomy : Roomy w) : Races w (policy Strategy.per_op) :=
  races_under w _ roomy (Lock.kind 0) (Lock.kind 1) Mode.exclusive Mode.exclusive
    (fun _ _ => Iff.rfl) (fun _ _ => Iff.rfl)
    (fun same => Lock.noConfusion same (fun equal => absurd equal.symm zero_is_not_one))

-- 5
theorem rw_lock_insufficient (w : World) (roomy : Roomy w) : Races w (policy Strategy.rw) :=
  races_under w _ roomy Lock.global Lock.global Mode.shared Mode.shared
    (fun _ _ => Iff.rfl) (fun _ _ => Iff.rfl) (fun _ => And.intro rfl rfl)

theorem per_encoder_separates : Separating (policy Strategy.per_encoder) := by
  intro a b o touch_a touch_b
  cases touch_a with
  | inl encoder_a =>
    cases touch_b with
    | inl encoder_b =>
      have same : Lock.encoder a.operation.encoder = Lock.encoder b.operation.encoder :=
        Object.noConfusion (encoder_a.symm.trans encoder_b) (fun equal => congrArg Lock.encoder equal)
      exact ⟨Lock.encoder a.operation.encoder, Mode.exclusive, Mode.exclusive, Or.inl (And.intro rfl rfl),
        Or.inl (And.intro same rfl), fun shared => Mode.noConfusion shared.1⟩
    | inr queue_b => exact Object.noConfusion (encoder_a.symm.trans queue_b.2)
  | inr queue_a =>
    cases touch_b with
    | inl encoder_b => exact Object.noConfusion (encoder_b.symm.trans queue_a.2)
    | inr queue_b =>
      have same : Lock.queue a.operation.queue = Lock.queue b.operation.queue :=
        Object.noConfusion (queue_a.2.symm.trans queue_b.2) (fun equal => congrArg Lock.queue equal)
      exact ⟨Lock.queue a.operation.queue, Mode.exclusive, Mode.exclusive,
        Or.inr (And.intro queue_a.1 (And.intro rfl rfl)), Or.inr (And.intro queue_b.1 (And.intro same rfl)),
        fun shared => Mode.noConfusion shared.1⟩

-- 6
theorem per_encoder_mutex_sufficient (w : World) : Safe w (policy Strategy.per_encoder) :=
  separating_is_safe w _ per_encoder_separates

/-- Under a safe policy, accesses that run at once have no object in common: each writes what it touches. -/
theorem safe_runs_disjoint (w : World) (Q : Policy) (safe : Safe w Q) (t u : Nat) (a b : Access)
    (at_once : Concurrent w Q t a u b) (o : Object) (touch_a : Touches a o) (touch_b : Touches b o) : False :=
  match at_once with
  | ⟨different, s, reached, at_a, at_b⟩ =>
    safe s reached o ⟨t, a, u, b, different, at_a, at_b, touch_a, touch_b,
      Or.inl (every_access_writes a o touch_a)⟩

-- 7
theorem per_encoder_is_maximal (w : World) (t u : Nat) (a b : Access) :
    Concurrent w (policy Strategy.per_encoder) t a u b ↔ ∃ Q, Safe w Q ∧ Concurrent w Q t a u b :=
  Iff.intro
    (fun at_once => ⟨policy Strategy.per_encoder, per_encoder_mutex_sufficient w, at_once⟩)
    (fun some_safe => match some_safe with
      | ⟨Q, safe, at_once⟩ =>
        match at_once with
        | ⟨different, s, reached, at_a, at_b⟩ =>
          have placed_a := reachable_placed w Q s reached t a (Or.inr at_a)
          have placed_b := reachable_placed w Q s reached u b (Or.inr at_b)
          per_encoder_runs_disjoint w t u a b different placed_a.1 placed_b.1 placed_a.2 placed_b.2
            (safe_runs_disjoint w Q safe t u a b at_once))

theorem races_are_unsafe (w : World) (P : Policy) (races : Races w P) : ¬ Safe w P :=
  fun safe => match races with
    | ⟨s, e, reached, race⟩ => safe s reached (Object.encoder e) race

-- 8
theorem all_strategies_classified (w : World) (roomy : Roomy w) (strategy : Strategy) :
    (Safe w (policy strategy) ↔ strategy = Strategy.global ∨ strategy = Strategy.per_encoder) ∧
    (Races w (policy strategy) ↔ strategy = Strategy.per_stream ∨ strategy = Strategy.per_op ∨ strategy = Strategy.rw) := by
  have sound : ∀ P : Policy, Safe w P → ¬ Races w P := fun P safe races => races_are_unsafe w P races safe
  cases strategy with
  | global =>
    exact And.intro (Iff.intro (fun _ => Or.inl rfl) (fun _ => mutex_prevents_race w))
      (Iff.intro (fun races => absurd races (sound _ (mutex_prevents_race w)))
        (fun named => match named with
          | Or.inl h => Strategy.noConfusion h
          | Or.inr (Or.inl h) => Strategy.noConfusion h
          | Or.inr (Or.inr h) => Strategy.noConfusion h))
  | per_encoder =>
    exact And.intro (Iff.intro (fun _ => Or.inr rfl) (fun _ => per_encoder_mutex_sufficient w))
      (Iff.intro (fun races => absurd races (sound _ (per_encoder_mutex_sufficient w)))
        (fun named => match named with
          | Or.inl h => Strategy.noConfusion h
          | Or.inr (Or.inl h) => Strategy.noConfusion h
          | Or.inr (Or.inr h) => Strategy.noConfusion h))
  | per_stream =>
    have races := per_stream_mutex_insufficient w roomy
    exact And.intro
      (Iff.intro (fun safe => absurd races (sound _ safe))
        (fun named => match named with
          | Or.inl h => Strategy.noConfusion h
          | Or.inr h => Strategy.noConfusion h))
      (Iff.intro (fun _ => Or.inl rfl) (fun _ => races))
  | per_op =>
    have races := per_op_mutex_insufficient w roomy
    exact And.intro
      (Iff.intro (fun safe => absurd races (sound _ safe))
        (fun named => match named with
          | Or.inl h => Strategy.noConfusion h
          | Or.inr h => Strategy.noConfusion h))
      (Iff.intro (fun _ => Or.inr (Or.inl rfl)) (fun _ => races))
  | rw =>
    have races := rw_lock_insufficient w roomy
    exact And.intro
      (Iff.intro (fun safe => absurd races (sound _ safe))
        (fun named => match named with
          | Or.inl h => Strategy.noConfusion h
          | Or.inr h => Strategy.noConfusion h))
      (Iff.intro (fun _ => Or.inr (Or.inr rfl)) (fun _ => races))

/-- Under the one lock, nothing runs at once. -/
theorem global_runs_one (w : World) (t u : Nat) (a b : Access)
    (at_once : Concurrent w (policy Strategy.global) t a u b) : False :=
  match at_once with
  | ⟨different, s, reached, at_a, at_b⟩ =>
    have held_a := reachable_covered w _ s reached t a Lock.global Mode.exclusive at_a (And.intro rfl rfl)
    have held_b := reachable_covered w _ s reached u b Lock.global Mode.exclusive at_b (And.intro rfl rfl)
    Mode.noConfusion (reachable_exclusion w _ s reached t u Lock.global Mode.exclusive Mode.exclusive different
      held_a held_b).1

/-- As `one`, with an encoder of its own. -/
def apart : Operation := ⟨0, 1, 0, 0⟩

theorem per_encoder_runs_two (w : World) (roomy : Roomy w) (second_encoder : 1 < w.encoders) :
    Concurrent w (policy Strategy.per_encoder) 0 ⟨one, Phase.record⟩ 1 ⟨apart, Phase.record⟩ :=
  per_encoder_runs_disjoint w 0 1 ⟨one, Phase.record⟩ ⟨apart, Phase.record⟩ zero_is_not_one roomy.first_thread
    roomy.second_thread (valid_one w roomy)
    ⟨roomy.first_stream, second_encoder, roomy.first_kind, roomy.first_queue⟩
    (fun _ touch_one touch_apart => match touch_one, touch_apart with
      | Or.inl e, Or.inl f => Object.noConfusion (e.symm.trans f) (fun equal => absurd equal zero_is_not_one)
      | Or.inr submission, _ => Phase.noConfusion submission.1
      | _, Or.inr submission => Phase.noConfusion submission.1)

/-- Safe, and no safe policy whatsoever lets more run at once. -/
def Optimal (w : World) (strategy : Strategy) : Prop :=
  Safe w (policy strategy) ∧ Maximal w (policy strategy)

-- 9
theorem per_encoder_uniquely_optimal (w : World) (roomy : Roomy w) (second_encoder : 1 < w.encoders)
    (strategy : Strategy) : Optimal w strategy ↔ strategy = Strategy.per_encoder :=
  Iff.intro
    (fun optimal => match ((all_strategies_classified w roomy strategy).1).1 optimal.1 with
      | Or.inl is_global => False.elim (global_runs_one w 0 1 ⟨one, Phase.record⟩ ⟨apart, Phase.record⟩
          (is_global ▸ optimal.2 (policy Strategy.per_encoder) (per_encoder_mutex_sufficient w) _ _ _ _
            (per_encoder_runs_two w roomy second_encoder)))
      | Or.inr is_per_encoder => is_per_encoder)
    (fun is_per_encoder => is_per_encoder.symm ▸ And.intro (per_encoder_mutex_sufficient w)
      (fun Q safe t a u b at_once => (per_encoder_is_maximal w t u a b).2 ⟨Q, And.intro safe at_once⟩))

end Heddle
