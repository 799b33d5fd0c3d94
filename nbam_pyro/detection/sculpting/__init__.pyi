from .distances import jensen_shannon as jensen_shannon
from .distances import wasserstein as wasserstein
from .figure import Sculpting as Sculpting
from .significance import significance_improvement as significance_improvement
from .table import sculpting_table as sculpting_table
