from common import *
ws=[N(16,64)]+[N(64,64) for _ in range(4)]+[N(64,1,g=.1)]; ws[2]=jnp.zeros((64,64))
def f(p,x):
    h=x
    for W in p[:-1]: h=jnp.tanh(h@W)
    return h@p[-1]
print("true std of 2:",float(ws[2].std())); print(winit.jax.audit(f,ws,x,y,mse))
ws[2]=N(64,64); print("only 2 redrawn (lecun):",str(winit.jax.audit(f,ws,x,y,mse)).splitlines()[0])
