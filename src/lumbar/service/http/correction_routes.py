"""Corrections of people: names of levels, grades and masks; every one makes a new version."""

from fastapi import APIRouter

router = APIRouter()
