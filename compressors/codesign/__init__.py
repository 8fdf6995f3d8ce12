"""Co-design: what each layer costs on a machine decides which compression it gets.

found = search(model, "eyeriss_v1", evaluate, Budget(accuracy_drop=0.01), data=data)
small = compress(model, found.plan, data=data)
"""

from compressors.codesign._budget import Budget as Budget
from compressors.codesign._candidates import NONE as NONE
from compressors.codesign._candidates import Candidate as Candidate
from compressors.codesign._candidates import default_candidates as default_candidates
from compressors.codesign._candidates import filters as filters
from compressors.codesign._candidates import fixed_point as fixed_point
from compressors.codesign._candidates import magnitude as magnitude
from compressors.codesign._candidates import shared as shared
from compressors.codesign._candidates import shift as shift
from compressors.codesign._candidates import ternary as ternary
from compressors.codesign._cost import Cost as Cost
from compressors.codesign._cost import LayerCosts as LayerCosts
from compressors.codesign._cost import Simulator as Simulator
from compressors.codesign._cost import Table as Table
from compressors.codesign._found import Found as Found
from compressors.codesign._search import search as search
from compressors.codesign._trials import EvaluationError as EvaluationError
