"""The gateway: an OpenAI-compatible HTTP service in front of the model server.

Start with `build_app`. A request names a workload as its ``model``; the gateway answers with the
release that the route table names, and every answer is durable in the `Spool` before it leaves.
"""
