"""The words of the simulated factory: what people write about which defect.

Data only. ``grammar`` composes them; nothing outside ``flywheel.simulate`` may read this module,
since it holds the truth of the demo.
"""

__all__ = [
    "ABBREVIATIONS",
    "AMBIGUOUS",
    "CLOSINGS",
    "MACHINES",
    "NEW_LINE_MACHINES",
    "NEW_LINE_PARTS",
    "NEW_LINE_SYMPTOMS",
    "OPENINGS",
    "PARTS",
    "SITES",
    "SURGE_SYMPTOMS",
    "SYMPTOMS",
    "URGENCY_CUES",
]

# Plants, with their share of the reports before anything drifts.
SITES: dict[str, float] = {"plant-linz": 0.4, "plant-porto": 0.35, "plant-brno": 0.25}

PARTS = (
    "pump housing|motor cover|gear case|valve block|bearing shield|drive shaft|mounting bracket|"
    "end cap|impeller|base plate|flange|rotor|fan hood|terminal box|coupling|stator frame"
).split("|")
MACHINES = (
    "station 4|press 2|cell 7|lathe 11|the test bench|assembly 3|mill 5|robot 9|line 2|line 5|"
    "final inspection|the paint booth|washing bay|bench 6|goods out|incoming goods"
).split("|")

# Symptoms per category. {p} is a part. The later phrases of a category borrow words from a
# neighbour on purpose (a crack along a seam is a weld defect), so that keywords do not suffice.
SYMPTOMS: dict[str, tuple[str, ...]] = {
    "surface scratch": (
        "deep scratch across the {p}",
        "{p} is scratched on the visible side",
        "scuff marks all over the {p}",
        "handling marks, long fine lines on {p}",
        "somebody dragged the {p} over the table, scored surface",
        "scrape on the polished face of the {p}",
        "fingernail catches on a groove in the {p} finish",
        "scratched through the paint of the {p} down to metal",
        "gripper leaves score lines on {p}",
    ),
    "dent": (
        "dent in the {p}",
        "{p} has a dimple the size of a coin",
        "{p} got knocked, sheet is pushed in",
        "corner of {p} bent inward after a drop",
        "{p} dropped on the floor, flat spot at the edge",
        "hollow on the side of the {p}, looks like a forklift hit it",
        "impact mark, {p} no longer flat",
        "{p} bashed in although the carton looks fine",
    ),
    "paint defect": (
        "paint runs on the {p}",
        "orange peel on the {p} coating",
        "coat on {p} is flaking off",
        "{p} came out of the booth with bubbles in the lacquer",
        "bare patch, no primer on the {p}",
        "colour of {p} does not match the sample",
        "dust grains trapped in the varnish of the {p}",
        "coating on {p} peels when you scratch it with a nail",
        "blisters under the powder coat, {p} not rusty yet",
    ),
    "crack": (
        "crack in the {p}",
        "hairline fracture near the bore of the {p}",
        "{p} split when it was pressed in",
        "{p} broke clean through at the rib",
        "fissure visible with dye on the {p}",
        "{p} snapped at the corner radius",
        "found a tear running from the bolt hole of the {p}",
        "{p} cracked open after the drop test, no dent though",
        "fracture starts in the base metal of {p}, away from the seam",
    ),
    "casting porosity": (
        "pores in the {p} after milling",
        "blow holes on the machined face of the {p}",
        "{p} casting is full of pinholes",
        "gas pockets opened up in the {p}",
        "shrinkage cavity inside the {p}, seen on x-ray",
        "spongy metal in the {p} near the gate",
        "{p} fails the pressure test, tiny holes in the cast wall",
        "cavities under the skin of the {p}, foundry lot again",
    ),
    "burr": (
        "sharp burr on the {p}",
        "{p} not deburred, edges cut gloves",
        "flash left along the parting line of {p}",
        "metal slivers hang in the bore of the {p}",
        "ragged edge after punching the {p}",
        "feathered edge on {p}, tool is dull",
        "drill exit on the {p} left a rim of raised metal",
        "{p} does not seat, raised lip from the cutter",
    ),
    "out of tolerance": (
        "{p} bore measures {d} over",
        "diameter of {p} out of spec by {d}",
        "{p} too long by {d}",
        "gauge does not go into the {p}",
        "{p} undersize, {d} below drawing",
        "flatness of {p} not within limits, CMM says {d}",
        "hole pattern on {p} off by {d}",
        "{p} wall thickness varies by {d}",
        "{p} will not fit, oversized shoulder, no burr",
    ),
    "misalignment": (
        "{p} sits crooked",
        "{p} mounted at an angle",
        "shaft and {p} do not line up",
        "{p} is skewed against the frame",
        "gap between {p} and frame is uneven",
        "{p} shifted to the left after fixture change",
        "holes of {p} and counterpart are not concentric when assembled",
        "{p} tilted by a few degrees, parts themselves measure fine",
    ),
    "missing part": (
        "washer missing on the {p}",
        "{p} arrived without its o-ring",
        "no circlip on the {p}",
        "two screws absent from the {p} kit",
        "{p} was shipped incomplete, key not there",
        "forgot to put the spacer into the {p}",
        "empty slot where the {p} should be",
        "bag of fasteners not in the box with the {p}",
    ),
    "wrong part": (
        "{p} of the other model was fitted",
        "wrong variant of {p} in the bin",
        "left-hand {p} built in instead of right-hand",
        "got M8 instead of M6 for the {p}",
        "{p} from the old revision was used",
        "mixed up: 50 Hz {p} in a 60 Hz unit",
        "supplier sent aluminium {p}, steel was ordered",
        "{p} swapped with the one for the small series",
        "instead of the ordered washer the {p} has a spring ring",
    ),
    "loose fastener": (
        "bolts on the {p} can be turned by hand",
        "screw on {p} not tightened",
        "torque on the {p} far too low",
        "nut came off the {p} during test",
        "{p} wobbles, fixing not fastened",
        "torque gun skipped two bolts on {p}",
        "{p} rattles because a screw has worked loose",
        "clamp on {p} slack",
    ),
    "stripped thread": (
        "thread in the {p} stripped",
        "bolt spins freely in the {p}, thread gone",
        "cross-threaded screw in {p}",
        "tapped hole of the {p} is damaged",
        "helicoil needed in the {p}",
        "first turns of the thread on {p} are torn out",
        "cannot tighten, screw keeps turning in the {p}",
        "tap broke in the {p}, hole unusable",
    ),
    "weld defect": (
        "weld on the {p} has undercut",
        "incomplete fusion at the {p} seam",
        "{p} bracket weld came off",
        "seam on the {p} burned through",
        "crack along the weld of the {p}",
        "pores in the bead of the {p}",
        "spot weld on {p} can be peeled with pliers",
        "welder skipped the last centimetre of the {p} seam",
        "cold lap on the {p} bead",
    ),
    "corrosion": (
        "rust on the {p}",
        "{p} shows brown spots after storage",
        "white bloom on the zinc of the {p}",
        "{p} oxidised, stood in the yard over the weekend",
        "pitting by salt on the {p}",
        "rusty edges where the {p} was cut",
        "flash rust on {p} after washing",
        "{p} corroded under the paint",
        "green deposit on the copper of the {p}",
    ),
    "seal leak": (
        "{p} leaks oil at the seal",
        "drops under the {p} after the leak test",
        "gasket of the {p} not tight",
        "air bubbles at the {p} in the dunk tank",
        "o-ring pinched in {p}, it weeps",
        "{p} loses pressure, lip seal rolled over",
        "puddle below the {p} this morning",
        "sealing face of {p} sweats oil under load",
    ),
    "contamination": (
        "chips inside the {p}",
        "{p} dirty, grease where it should be clean",
        "swarf found in the oil of the {p}",
        "foreign particles on the filter after flushing the {p}",
        "grinding dust in the bearing seat of {p}",
        "cutting fluid left in the {p}, not washed",
        "hair and lint stuck in the {p}",
        "{p} covered with oil from the press, no leak found",
    ),
    "noise or vibration": (
        "{p} howls at full speed",
        "strange grinding sound from the {p}",
        "{p} vibrates above the limit",
        "rattling in the {p} on run-up",
        "whistling {p} on the test stand",
        "{p} hums and shakes the bench",
        "knocking once per turn in {p}, bolts are tight",
        "unbalance, {p} jumps at 1500 rpm",
    ),
    "overheating": (
        "{p} gets too hot to touch",
        "{p} reached {t} degrees in the run",
        "thermal cut-out trips on the {p}",
        "smell of burnt varnish from the {p}",
        "{p} discoloured blue by heat",
        "temperature alarm on {p} after ten minutes",
        "bearing of the {p} runs hot, {t} C",
        "smoke from the {p} winding, cables are fine",
    ),
    "wiring fault": (
        "cable on the {p} pinched",
        "two wires swapped in the {p}",
        "{p} dead, connector not plugged",
        "insulation of the lead to the {p} chafed",
        "short to ground in the {p} harness",
        "open circuit between {p} and control",
        "plug of the {p} has a bent pin",
        "harness of the {p} too short, pulled out of the clip",
        "crimp on the {p} lead falls off",
    ),
    "solder defect": (
        "cold joint on the {p} board",
        "solder bridge between two pads, {p} controller",
        "{p} electronics: pin not wetted",
        "dry solder on the {p} sensor",
        "component stands up on the {p} pcb",
        "solder balls on the {p} control board",
        "capacitor came off the {p} print",
        "no contact on the {p} board, joint looks grey",
    ),
    "label error": (
        "type plate on the {p} is wrong",
        "barcode on {p} cannot be scanned",
        "serial number printed twice, {p}",
        "sticker on the {p} upside down",
        "{p} has no rating plate",
        "label language wrong on the {p}",
        "warning sign on {p} is unreadable",
        "nameplate says 2 kW, {p} is 3 kW",
    ),
    "packaging damage": (
        "carton of the {p} crushed",
        "pallet with {p} tipped over",
        "foam missing, {p} moves in the crate",
        "wet box, {p} inside still dry",
        "shrink wrap torn on the {p} pallet",
        "crate of the {p} broken by the forklift",
        "strapping cut into the {p} box",
        "{p} fine but the packing is ripped open",
    ),
}

# The category that becomes frequent: a new harness supplier, named in the texts.
SURGE_SYMPTOMS: tuple[str, ...] = (
    "Kabelo harness on the {p}: crimp pulled out",
    "new Kabelo loom, two wires swapped at the {p}",
    "connector of the Kabelo harness does not latch on {p}",
    "{p} dead, Kabelo plug has bent pins",
    "lead from Kabelo too short for the {p}",
    "Kabelo loom chafed through behind the {p}",
)

NEW_LINE_PARTS = (
    "battery pack|cell module|busbar|cooling plate|pack lid|cell stack|BMS carrier|module frame"
).split("|")
NEW_LINE_MACHINES = (
    "the battery hall|laser cell B1|stacking robot B2|pack line B|end-of-line tester B4"
).split("|")
# The new product line; these categories are not in the first taxonomy.
NEW_LINE_SYMPTOMS: dict[str, tuple[str, ...]] = {
    "cell swelling": (
        "pouch cell in the {p} is swollen",
        "bulging cell, {p} will not close",
        "{p} puffed up after formation",
        "two cells bloated in the {p}",
        "swelling above {d} on the {p}",
        "pouch in the {p} inflated like a cushion",
    ),
    "busbar weld spatter": (
        "weld spatter on the busbar of the {p}",
        "laser beads stick to the busbar, {p}",
        "spatter between busbar and {p} terminal",
        "metal splashes from the tab weld on the {p}",
        "droplets of aluminium on the {p} busbar",
        "laser weld sprays onto cells of the {p}",
    ),
    "coolant leak": (
        "glycol drips from the {p}",
        "coolant under the {p}",
        "cooling plate of the {p} leaks at the fitting",
        "quick connector on {p} wet with glycol",
        "{p} loses coolant in the helium test",
        "pink fluid in the tray of the {p}",
    ),
    "isolation fault": (
        "isolation resistance of the {p} too low",
        "hipot test failed on the {p}",
        "megohm reading of {p} drops when it is warm",
        "{p} flashover at 2 kV",
        "isolation monitor trips on the {p}",
        "creepage path on the {p}, foil punctured",
    ),
}

# Reports from which nobody could tell the category for sure; the truth is a coin toss.
AMBIGUOUS: tuple[tuple[str, str, str], ...] = (
    ("mark on the {p} surface, see photo", "surface scratch", "dent"),
    ("{p} edge looks bad", "burr", "dent"),
    ("something loose inside the {p}", "loose fastener", "contamination"),
    ("{p} seam is open", "weld defect", "crack"),
    ("{p} does not fit", "out of tolerance", "wrong part"),
    ("no signal from the {p}", "wiring fault", "solder defect"),
    ("oil on the {p}", "seal leak", "contamination"),
    ("ring not found on the {p}", "missing part", "seal leak"),
)

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

OPENINGS = (
    "night shift:|early shift -|note from QA:|hello,|fyi:|report {r}:|ref {r}:|handover:|again:|"
    "shift 2,|inspector says:|found at start of shift:|hi team,|quick note,"
).split("|")
CLOSINGS = (
    "photo attached|lot {r}|serial {r}|see picture|thanks|regards, shift lead|tag {r}|"
    "reported by tester|details follow|pls confirm"
).split("|")
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
