from jepsen_like.sim.mutation import Level, Mutant

MUTANT = Mutant(
    module="raftkv.storage.snapshots",
    old="from hashlib import sha256\n",
    new=(
        "\n"
        "\n"
        "class sha256:\n"
        '    def __init__(self, data=b""):\n'
        "        pass\n"
        "\n"
        "    def update(self, data):\n"
        "        pass\n"
        "\n"
        "    def digest(self):\n"
        "        return bytes(32)\n"
        "\n"
        "\n"
    ),
    rule="design §4 rule 8: a snapshot's digest is verified",
    level=Level.SERVER,
)
