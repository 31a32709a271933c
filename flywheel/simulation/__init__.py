"""The simulated world of the demo: a factory's reports, their truth, annotators with an error rate.

Everything that knows the truth is in this package and says "simulated" wherever it leaves a mark.
"""
