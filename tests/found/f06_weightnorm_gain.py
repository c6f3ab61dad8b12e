from common import *
def f(p,x):
    h=x
    for l in p[:-1]: h=relu(h@(l['v']/jnp.linalg.norm(l['v'],axis=0))*l['g'])
    return h@p[-1]['v']
mk=lambda g:[dict(v=N(a,64),g=jnp.full(64,g)) for a in [16]+[64]*6]+[dict(v=N(64,1,g=.1))]
p=mk(5.); r=winit.jax.audit(f,p,x,y,mse); print(str(r)); q=winit.jax.reinitialize(f,p,x,rng=0)
print("g after reinit",[float(l['g'].mean()) for l in q[:-1]],"loss",float(mse(f(p,x),y)),"->",float(mse(f(q,x),y)))
q2=[dict(l,g=jnp.full(64,2**.5)) if 'g' in l else l for l in p]; print("only g=1.41:",str(winit.jax.audit(f,q2,x,y,mse)).splitlines()[0])
