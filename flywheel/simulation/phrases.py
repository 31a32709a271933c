"""The words of the simulated factory: what people write about which defect.

Data only. ``grammar`` composes them; nothing outside ``flywheel.simulation`` may read this module,
since it holds the truth of the demo.
"""

__all__ = [
    "ABBREVIATIONS",
    "CLOSINGS",
    "MACHINES",
    "NEW_LINE_MACHINES",
    "NEW_LINE_PARTS",
    "OPENINGS",
    "PARTS",
    "SITES",
    "URGENCY_CUES",
]

# Plants, with their share of the reports before anything drifts.
SITES: dict[str, float] = {"plant-linz": 0.4, "plant-porto": 0.35, "plant-brno": 0.25}

PARTS = [
    "pump housing",
    "motor cover",
    "gear case",
    "valve block",
    "bearing shield",
    "drive shaft",
    "mounting bracket",
    "end cap",
    "impeller",
    "base plate",
    "flange",
    "rotor",
    "fan hood",
    "terminal box",
    "coupling",
    "stator frame",
]
MACHINES = [
    "station 4",
    "press 2",
    "cell 7",
    "lathe 11",
    "the test bench",
    "assembly 3",
    "mill 5",
    "robot 9",
    "line 2",
    "line 5",
    "final inspection",
    "the paint booth",
    "washing bay",
    "bench 6",
    "goods out",
    "incoming goods",
]

NEW_LINE_PARTS = [
    "battery pack",
    "cell module",
    "busbar",
    "cooling plate",
    "pack lid",
    "cell stack",
    "BMS carrier",
    "module frame",
]
NEW_LINE_MACHINES = [
    "the battery hall",
    "laser cell B1",
    "stacking robot B2",
    "pack line B",
    "end-of-line tester B4",
]

URGENCY_CUES: dict[str, tuple[str, ...]] = {
    "critical": (
        "line is down",
        "line stopped since {h}",
        "production halted",
        "whole shift is standing still",
        "safety risk, area closed off",
        "operator nearly got hurt",
        "we cannot build anything until this is solved",
        "safety officer has locked the machine",
    ),
    "high": (
        "customer truck leaves at {h}",
        "customer is waiting",
        "order is due tomorrow",
        "third one this shift",
        "rework is piling up",
        "must be fixed before the next shift",
        "line will stop soon if it goes on",
        "{n} units blocked",
    ),
    "medium": (
        "please check this week",
        "set aside for inspection",
        "happens now and then",
        "quality should have a look",
        "keep an eye on it",
        "second case this month",
        "reworked one, others look alright",
    ),
    "low": (
        "cosmetic only",
        "no hurry",
        "just for the record",
        "when someone has time",
        "still usable",
        "customer will not notice",
        "line keeps running, no problem",
        "for the statistics",
    ),
}

OPENINGS = [
    "night shift:",
    "early shift -",
    "note from QA:",
    "hello,",
    "fyi:",
    "report {r}:",
    "ref {r}:",
    "handover:",
    "again:",
    "shift 2,",
    "inspector says:",
    "found at start of shift:",
    "hi team,",
    "quick note,",
]
CLOSINGS = [
    "photo attached",
    "lot {r}",
    "serial {r}",
    "see picture",
    "thanks",
    "regards, shift lead",
    "tag {r}",
    "reported by tester",
    "details follow",
    "pls confirm",
]
ABBREVIATIONS: dict[str, str] = {
    "please": "pls",
    "inspection": "insp",
    "customer": "cust",
    "because": "bc",
    "temperature": "temp",
    "missing": "msng",
    "without": "w/o",
    "station": "stn",
    "assembly": "assy",
    "pressure": "press",
}
