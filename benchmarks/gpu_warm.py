"""Importing this imports all that a step needs, which takes longer than many steps: on the CPU, without the device."""

from dia2 import Dia2

Dia2.nano(device="cpu").runtime.forget()
