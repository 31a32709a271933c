"""Send one answer to Flywheel with plain kafka-python; any Kafka client will do.

FLYWHEEL_KAFKA_SERVERS=127.0.0.1:9092 python deploy/kafka/produce.py
"""

import json
import os
import uuid
from datetime import UTC, datetime

from kafka import KafkaProducer

text, answer = "paint runs down the left door", {"category": "paint", "urgency": "low"}
event = {  # every field: `flywheel schema inference`
    "inference_id": str(uuid.uuid4()),  # send it again under this id, and it still counts once
    "timestamp": datetime.now(UTC).isoformat(),
    "workload_id": "defect_reports",
    "client_id": "line-1",
    "request": {"model": "any", "messages": [{"role": "user", "content": text}]},
    "response": {"choices": [{"message": {"role": "assistant", "content": json.dumps(answer)}}]},
    "output": answer,
    **dict.fromkeys(("route", "release", "base_model", "latency_ms", "usage")),  # not known: null
}
producer = KafkaProducer(bootstrap_servers=os.environ["FLYWHEEL_KAFKA_SERVERS"].split(","))
key, value = event["inference_id"].encode(), json.dumps(event).encode()
producer.send("flywheel.inferences", value, key=key).get(timeout=30)  # raises if it is not durable
producer.close()
