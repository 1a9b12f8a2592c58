{{ landed("notifications", "delivery_id") }}
