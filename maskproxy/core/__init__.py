"""Pure: values in, values out. No asyncio, clock, files, logging or randomness.

text --sql.analyse--> Analysis --policy.decide--> Permit | Deny --plan.make_plan--> Plan
"""
