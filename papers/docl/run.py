"""The recipes of the paper `docl` by name."""

from __future__ import annotations

from papers.docl.attackers import attackers
from papers.docl.cifar10 import cifar10
from papers.docl.copies import copies
from papers.docl.faces import faces
from papers.docl.imbalance import imbalance
from papers.docl.leak import leak
from papers.docl.membership import membership
from papers.docl.mnist import mnist
from papers.docl.private import private
from papers.docl.shortlist import shortlist
from papers.docl.sizes import sizes
from papers.docl.training import training
from papers.recipe import Recipe

RECIPES: dict[str, Recipe] = {
    "mnist": mnist,
    "mnist-gradients": mnist,
    "cifar10": cifar10,
    "faces": faces,
    "copies": copies,
    "shortlist": shortlist,
    "sizes": sizes,
    "attackers": attackers,
    "training": training,
    "imbalance": imbalance,
    "membership": membership,
    "private": private,
    "leak": leak,
}
