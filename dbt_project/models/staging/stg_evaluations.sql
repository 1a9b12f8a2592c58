{{ landed("evaluations", "evaluation_id") }}
