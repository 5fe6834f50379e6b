/-
What `verify/lean/check` reads: the axioms that each of the nine theorems rests on.
-/
import Heddle.Theorems

#print axioms Heddle.race_condition_exists
#print axioms Heddle.mutex_prevents_race
#print axioms Heddle.per_stream_mutex_insufficient
#print axioms Heddle.per_op_mutex_insufficient
#print axioms Heddle.rw_lock_insufficient
#print axioms Heddle.per_encoder_mutex_sufficient
#print axioms Heddle.per_encoder_is_maximal
#print axioms Heddle.all_strategies_classified
#print axioms Heddle.per_encoder_uniquely_optimal
