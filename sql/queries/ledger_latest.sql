-- When the newest file arrived.
SELECT MAX(received_at) AS received_at FROM ingestions
