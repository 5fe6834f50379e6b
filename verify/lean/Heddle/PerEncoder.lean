/-
What `per_encoder` lets run at once: any two accesses of two threads that have no object in common.
-/
import Heddle.Paths

namespace Heddle

/-- The encoder's lock alone. -/
def owned (operation : Operation) : Lock → Mode → Prop :=
  also (Lock.encoder operation.encoder) Mode.exclusive nothing

/-- What a thread holds within an access, on the paths below. -/
def grip (operation : Operation) : Phase → Lock → Mode → Prop
  | Phase.record => owned operation
  | Phase.submit => also (Lock.queue operation.queue) Mode.exclusive (owned operation)
  | Phase.complete => owned operation

theorem grip_holds (operation : Operation) (phase : Phase) (l : Lock) (m : Mode) (held : grip operation phase l m) :
    l = Lock.encoder operation.encoder ∨ (phase = Phase.submit ∧ l = Lock.queue operation.queue) := by
  cases phase with
  | record => exact match held with
      | Or.inl taken => Or.inl taken.1
      | Or.inr no => False.elim no
  | submit => exact match held with
      | Or.inl taken => Or.inr (And.intro rfl taken.1)
      | Or.inr (Or.inl taken) => Or.inl taken.1
      | Or.inr (Or.inr no) => False.elim no
  | complete => exact match held with
      | Or.inl taken => Or.inl taken.1
      | Or.inr no => False.elim no

theorem encoder_is_not_queue (e q : Nat) : Lock.encoder e ≠ Lock.queue q :=
  fun same => Lock.noConfusion same

theorem reaches_record (w : World) (t : Nat) (s : State) (operation : Operation)
    (reached : Reachable w (policy Strategy.per_encoder) s) (counted : t < w.threads) (valid : Valid w operation)
    (idle : s.place t = Place.idle) (empty : ∀ l m, ¬ s.held t l m)
    (free : Available s t (Lock.encoder operation.encoder) Mode.exclusive) :
    Leads w (policy Strategy.per_encoder) t s (Place.inside ⟨operation, Phase.record⟩) (owned operation) :=
  record_under_one_lock w (policy Strategy.per_encoder) t s operation (Lock.encoder operation.encoder) Mode.exclusive
    (fun _ _ => Iff.intro
      (fun needed => match needed with
        | Or.inl own => own
        | Or.inr submission => Phase.noConfusion submission.1)
      Or.inl)
    reached counted valid idle empty free

theorem reaches_submit (w : World) (t : Nat) (s : State) (operation : Operation)
    (reached : Reachable w (policy Strategy.per_encoder) s) (counted : t < w.threads)
    (recording : s.place t = Place.inside ⟨operation, Phase.record⟩) (hands : ∀ l m, s.held t l m ↔ owned operation l m)
    (free : Available s t (Lock.queue operation.queue) Mode.exclusive) :
    Leads w (policy Strategy.per_encoder) t s (Place.inside ⟨operation, Phase.submit⟩)
      (grip operation Phase.submit) :=
  and_then w _ t s _ _ _ _
    (by_leave w _ t s ⟨operation, Phase.record⟩ _ reached counted recording hands)
    (fun s1 reached1 waiting1 hands1 free1 =>
      and_then w _ t s1 _ _ _ _
        (by_acquire w _ t s1 ⟨operation, Phase.submit⟩ (Lock.queue operation.queue) Mode.exclusive (owned operation)
          reached1 counted waiting1 (Or.inr (And.intro rfl (And.intro rfl rfl))) hands1
          (fun _ held => match held with
            | Or.inl taken => encoder_is_not_queue _ _ taken.1.symm
            | Or.inr no => no)
          (free1 _ _ free))
        (fun s2 reached2 waiting2 hands2 _ =>
          by_enter w _ t s2 ⟨operation, Phase.submit⟩ _ reached2 counted waiting2 hands2
            (fun _ _ needed => match needed with
              | Or.inl own => Or.inr (Or.inl own)
              | Or.inr submission => Or.inl submission.2)))

theorem reaches_complete (w : World) (t : Nat) (s : State) (operation : Operation)
    (reached : Reachable w (policy Strategy.per_encoder) s) (counted : t < w.threads)
    (submitting : s.place t = Place.inside ⟨operation, Phase.submit⟩)
    (hands : ∀ l m, s.held t l m ↔ grip operation Phase.submit l m) :
    Leads w (policy Strategy.per_encoder) t s (Place.inside ⟨operation, Phase.complete⟩) (owned operation) :=
  and_then w _ t s _ _ _ _
    (by_leave w _ t s ⟨operation, Phase.submit⟩ _ reached counted submitting hands)
    (fun s1 reached1 waiting1 hands1 _ =>
      and_then w _ t s1 _ _ _ _
        (by_release w _ t s1 ⟨operation, Phase.complete⟩ (Lock.queue operation.queue) Mode.exclusive _ (owned operation)
          reached1 counted waiting1
          (fun needed => match needed with
            | Or.inl own => encoder_is_not_queue _ _ own.1.symm
            | Or.inr submission => Phase.noConfusion submission.1)
          hands1 (Or.inl (And.intro rfl rfl))
          (fun _ _ => Iff.intro
            (fun kept => match kept.1 with
              | Or.inl taken => absurd taken kept.2
              | Or.inr own => own)
            (fun own => And.intro (Or.inr own)
              (fun released => match own with
                | Or.inl taken => encoder_is_not_queue _ _ (taken.1.symm.trans released.1)
                | Or.inr no => no))))
        (fun s2 reached2 waiting2 hands2 _ =>
          by_enter w _ t s2 ⟨operation, Phase.complete⟩ _ reached2 counted waiting2 hands2
            (fun _ _ needed => match needed with
              | Or.inl own => Or.inl own
              | Or.inr submission => Phase.noConfusion submission.1)))

/-- A thread comes into any access, where others hold neither its encoder nor, if it has to submit, its queue. -/
theorem reaches (w : World) (t : Nat) (s : State) (operation : Operation) (phase : Phase)
    (reached : Reachable w (policy Strategy.per_encoder) s) (counted : t < w.threads) (valid : Valid w operation)
    (idle : s.place t = Place.idle) (empty : ∀ l m, ¬ s.held t l m)
    (free : Available s t (Lock.encoder operation.encoder) Mode.exclusive)
    (free_queue : phase ≠ Phase.record → Available s t (Lock.queue operation.queue) Mode.exclusive) :
    Leads w (policy Strategy.per_encoder) t s (Place.inside ⟨operation, phase⟩) (grip operation phase) := by
  have recorded := reaches_record w t s operation reached counted valid idle empty free
  cases phase with
  | record => exact recorded
  | submit =>
    exact and_then w _ t s _ _ _ _ recorded (fun s1 reached1 at1 hands1 free1 =>
      reaches_submit w t s1 operation reached1 counted at1 hands1
        (free1 _ _ (free_queue (fun same => Phase.noConfusion same))))
  | complete =>
    exact and_then w _ t s _ _ _ _ recorded (fun s1 reached1 at1 hands1 free1 =>
      and_then w _ t s1 _ _ _ _
        (reaches_submit w t s1 operation reached1 counted at1 hands1
          (free1 _ _ (free_queue (fun same => Phase.noConfusion same))))
        (fun s2 reached2 at2 hands2 _ => reaches_complete w t s2 operation reached2 counted at2 hands2))

/-- Two accesses with no object in common are reached one after the other, unless the second one's thread would have
to pass through a queue in which the first one's stays. -/
theorem in_order (w : World) (t u : Nat) (first second : Operation) (p q : Phase) (different : t ≠ u)
    (counted_t : t < w.threads) (counted_u : u < w.threads) (valid_first : Valid w first) (valid_second : Valid w second)
    (disjoint : ∀ o, Touches ⟨first, p⟩ o → Touches ⟨second, q⟩ o → False)
    (passes : p = Phase.submit → q = Phase.submit) :
    ∃ s, Reachable w (policy Strategy.per_encoder) s ∧ s.place t = Place.inside ⟨first, p⟩ ∧
      s.place u = Place.inside ⟨second, q⟩ :=
  one_and_other w _ t u _ _ _ (grip second q) different
    (reaches w t initial first p Reachable.initial counted_t valid_first rfl (fun _ _ no => no)
      (fun _ _ _ no => False.elim no) (fun _ _ _ _ no => False.elim no))
    (fun s reached idle empty free =>
      reaches w u s second q reached counted_u valid_second idle empty
        (free _ _ (fun n held => match grip_holds first p _ n held with
          | Or.inl same => Lock.noConfusion same (fun equal =>
              False.elim (disjoint (Object.encoder second.encoder)
                (Or.inl (congrArg Object.encoder equal)) (Or.inl rfl)))
          | Or.inr submission => absurd submission.2 (encoder_is_not_queue _ _)))
        (fun _ => free _ _ (fun n held => match grip_holds first p _ n held with
          | Or.inl same => absurd same.symm (encoder_is_not_queue _ _)
          | Or.inr submission => Lock.noConfusion submission.2 (fun equal =>
              False.elim (disjoint (Object.queue second.queue)
                (Or.inr (And.intro submission.1 (congrArg Object.queue equal)))
                (Or.inr (And.intro (passes submission.1) rfl)))))))

theorem per_encoder_runs_disjoint (w : World) (t u : Nat) (a b : Access) (different : t ≠ u)
    (counted_t : t < w.threads) (counted_u : u < w.threads) (valid_a : Valid w a.operation)
    (valid_b : Valid w b.operation) (disjoint : ∀ o, Touches a o → Touches b o → False) :
    Concurrent w (policy Strategy.per_encoder) t a u b := by
  cases a with
  | mk first p =>
    cases b with
    | mk second q =>
      have other_way : (q = Phase.submit → p = Phase.submit) →
          Concurrent w (policy Strategy.per_encoder) t ⟨first, p⟩ u ⟨second, q⟩ :=
        fun passes => match in_order w u t second first q p (fun same => different same.symm) counted_u counted_t
            valid_b valid_a (fun o touch_b touch_a => disjoint o touch_a touch_b) passes with
          | ⟨s, reached, at_b, at_a⟩ => And.intro different ⟨s, reached, at_a, at_b⟩
      have this_way : (p = Phase.submit → q = Phase.submit) →
          Concurrent w (policy Strategy.per_encoder) t ⟨first, p⟩ u ⟨second, q⟩ :=
        fun passes => And.intro different
          (in_order w t u first second p q different counted_t counted_u valid_a valid_b disjoint passes)
      cases p with
      | record => exact this_way (fun same => Phase.noConfusion same)
      | submit => exact other_way (fun _ => rfl)
      | complete => exact this_way (fun same => Phase.noConfusion same)

end Heddle
